//! Who has which GPU or slice: what containers were given, what processes hold, what others wrote down.

use std::collections::BTreeSet;

use super::engine::GpuRequest;
use crate::gpu::{GpuPlace, GpuProcess};

/// A GPU or slice somebody has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Allocation {
    /// The GPU's index.
    pub(super) gpu: u32,
    pub(super) instance: Option<u32>,
    pub(super) container: String,
    pub(super) user: String,
    pub(super) interface: String,
    pub(super) job: String,
}

impl Allocation {
    /// `0`, or `1.9` for the slice with that `GPU_I_ID`, whatever its source calls it.
    pub(super) fn slot(&self) -> String {
        match self.instance {
            Some(instance) => format!("{}.{instance}", self.gpu),
            None => self.gpu.to_string(),
        }
    }
}

/// A whole GPU or a slice of it.
pub(super) type Target = (u32, Option<u32>);

/// All of a GPU: its slices where it is cut.
fn whole(place: &GpuPlace) -> Vec<Target> {
    if place.slices.is_empty() {
        return vec![(place.index, None)];
    }
    place
        .slices
        .iter()
        .map(|slice| (place.index, Some(slice.instance_id)))
        .collect()
}

/// What a request means on this machine; a name of no GPU means nothing.
pub(super) fn targets(request: &GpuRequest, places: &[GpuPlace]) -> Vec<Target> {
    match request {
        GpuRequest::None => Vec::new(),
        GpuRequest::All => places.iter().flat_map(whole).collect(),
        GpuRequest::Count(count) => places.iter().take(*count as usize).flat_map(whole).collect(),
        GpuRequest::Ids(ids) => {
            let found: BTreeSet<Target> = ids.iter().flat_map(|id| target(id, places)).collect();
            found.into_iter().collect()
        }
    }
}

/// `0`, `0:1`, `0.1`, `GPU-…`, `MIG-…`.
pub(super) fn target(id: &str, places: &[GpuPlace]) -> Vec<Target> {
    for place in places {
        if place.uuid == id {
            return whole(place);
        }
        if let Some(slice) = place
            .slices
            .iter()
            .find(|slice| !slice.uuid.is_empty() && slice.uuid == id)
        {
            return vec![(place.index, Some(slice.instance_id))];
        }
    }
    let (gpu, slice) = match id.split_once([':', '.']) {
        Some((gpu, slice)) => (gpu, Some(slice)),
        None => (id, None),
    };
    let Some(place) = gpu
        .parse::<u32>()
        .ok()
        .and_then(|index| places.iter().find(|place| place.index == index))
    else {
        return Vec::new();
    };
    let Some(slice) = slice else { return whole(place) };
    let slice = slice.parse::<u32>().ok();
    let found = place.slices.iter().find(|known| Some(known.index) == slice);
    found
        .map(|known| (place.index, Some(known.instance_id)))
        .into_iter()
        .collect()
}

/// Where a process is.
pub(super) fn target_of(process: &GpuProcess) -> Target {
    (process.gpu, process.gpu_instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Slice;

    fn places() -> Vec<GpuPlace> {
        let slice = |index: u32| Slice {
            instance_id: 7 + index,
            index,
            uuid: format!("MIG-{index}"),
            profile: "1g.10gb".to_owned(),
        };
        vec![
            GpuPlace {
                index: 0,
                uuid: "GPU-a".to_owned(),
                ..GpuPlace::default()
            },
            GpuPlace {
                index: 1,
                uuid: "GPU-b".to_owned(),
                slices: vec![slice(0), slice(1)],
                ..GpuPlace::default()
            },
        ]
    }

    #[test]
    fn every_way_to_name_a_gpu_finds_it() {
        let ids = |words: &str| targets(&GpuRequest::of_words(words), &places());
        assert_eq!(ids("0"), [(0, None)]);
        assert_eq!(ids("GPU-a,0"), [(0, None)], "named twice");
        assert_eq!(ids("1:0"), [(1, Some(7))]);
        assert_eq!(ids("1.1"), [(1, Some(8))]);
        assert_eq!(ids("MIG-1"), [(1, Some(8))]);
        assert_eq!(ids("1"), [(1, Some(7)), (1, Some(8))], "a cut GPU is its slices");
        assert_eq!(ids("all").len(), 3);
        assert_eq!(targets(&GpuRequest::Count(1), &places()), [(0, None)]);
        for words in ["7", "GPU-z", "1:9", "nonsense", "none", ""] {
            assert!(ids(words).is_empty(), "{words}");
        }
    }
}
