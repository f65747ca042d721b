//! The MIG instances of one GPU of the real library. While they are being changed, handles come and go under our hands:
//! what cannot be read then is left out, and the next second sees what there is.

use nvml_wrapper::Device;

use super::calls::gpu_instance_id;
use super::convert::mig_profile;
use super::device::{OneGpu, Profiler};
use super::reading;
use crate::gpu::timing::CallTimes;
use crate::gpu::{MigInstance, NvmlFailure, Readings};

/// `NVML_DEVICE_MIG_ENABLE` of nvml.h.
const ENABLED: u32 = 1;
const MIB: f64 = 1024.0 * 1024.0;

/// The instances, each with its own memory and profiling; none where the GPU is not in MIG mode.
pub(super) fn instances(
    device: &Device<'static>,
    gpu: &mut OneGpu,
    times: &mut CallTimes,
) -> Result<Vec<MigInstance>, NvmlFailure> {
    let mode = times.measure("mig", || reading(device.mig_mode()))?;
    if mode.is_none_or(|mode| mode.current != ENABLED) {
        gpu.slices.clear();
        return Ok(Vec::new());
    }
    // NVML's count is the most there can be.
    let most = times
        .measure("mig", || reading(device.mig_device_count()))?
        .unwrap_or(0);
    let mut list: Vec<MigInstance> = Vec::new();
    for index in 0..most {
        let Some(slice) = times.measure("mig", || reading(device.mig_device_by_index(index)))? else {
            continue;
        };
        let Some(instance_id) = reading(gpu_instance_id(&slice))? else {
            continue;
        };
        // A GPU instance with several compute instances is listed once for each.
        if list.iter().any(|one| one.instance_id == instance_id) {
            continue;
        }
        let name = reading(slice.name())?.unwrap_or_default();
        let (slices, memory_mib) = reading(slice.attributes())?.map_or((0, 0), |attributes| {
            (attributes.gpu_instance_slice_count, attributes.memory_size_mb)
        });
        let mut readings = Readings::default();
        if let Some(memory) = times.measure("mig", || reading(slice.memory_info()))? {
            readings.fb_free = Some((memory.free as f64 / MIB).floor());
            readings.fb_used = Some((memory.used as f64 / MIB).floor());
            readings.fb_reserved = Some((memory.reserved as f64 / MIB).floor());
            readings.fb_total = Some((memory.total as f64 / MIB).floor());
        }
        let known = gpu.slices.iter_mut().position(|(id, _)| *id == instance_id);
        let at = known.unwrap_or_else(|| {
            gpu.slices.push((instance_id, Profiler::default()));
            gpu.slices.len() - 1
        });
        let profiler = &mut gpu.slices[at].1;
        times.measure("gpm", || {
            profiler.read(device, || device.gpm_mig_sample(instance_id), &mut readings);
        });
        list.push(MigInstance {
            instance_id,
            index,
            uuid: reading(slice.uuid())?.unwrap_or_default(),
            profile: mig_profile(&name, slices, memory_mib),
            readings,
        });
    }
    gpu.slices
        .retain(|(id, _)| list.iter().any(|instance| instance.instance_id == *id));
    Ok(list)
}
