//! What runs on this machine: kernel, GPU driver, firmware. Files only, read through the `HostFs`.

use crate::fs::HostFs;

use super::book::Values;

/// The kernel that runs: `uname`.
pub fn kernel(fs: &dyn HostFs) -> Option<Values> {
    let uname = fs.uname().ok()?;
    Some(Values::from([
        ("kernel".to_owned(), uname.release),
        ("kernel build".to_owned(), uname.version),
    ]))
}

/// NVIDIA's driver, where one is loaded.
pub fn gpu_driver(fs: &dyn HostFs) -> Option<Values> {
    let version = text(fs, "/sys/module/nvidia/version").or_else(|| {
        let lines = text(fs, "/proc/driver/nvidia/version")?;
        // `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024`
        let line = lines.lines().find(|line| line.starts_with("NVRM version"))?;
        let word = line.split_ascii_whitespace().find(|word| {
            word.contains('.')
                && word
                    .chars()
                    .all(|letter| letter.is_ascii_digit() || letter == '.')
        })?;
        Some(word.to_owned())
    })?;
    Some(Values::from([("GPU driver".to_owned(), version)]))
}

/// Firmware of the machine, its network adapters, disks and GPUs.
pub fn firmware(fs: &dyn HostFs) -> Option<Values> {
    let mut values = Values::new();
    if let Some(version) = text(fs, "/sys/class/dmi/id/bios_version") {
        values.insert("bios".to_owned(), version);
    }
    for (folder, file) in [
        ("/sys/class/infiniband", "fw_ver"),
        ("/sys/class/nvme", "firmware_rev"),
    ] {
        for device in fs.list(folder).unwrap_or_default() {
            if let Some(version) = text(fs, &format!("{folder}/{device}/{file}")) {
                values.insert(device, version);
            }
        }
    }
    let gpus = "/proc/driver/nvidia/gpus";
    for gpu in fs.list(gpus).unwrap_or_default() {
        let Some(lines) = text(fs, &format!("{gpus}/{gpu}/information")) else {
            continue;
        };
        for line in lines.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            let unknown = value.is_empty() || value.contains("??");
            if matches!(name.trim(), "Video BIOS" | "GPU Firmware") && !unknown {
                values.insert(format!("gpu {gpu} {}", name.trim()), value.to_owned());
            }
        }
    }
    Some(values).filter(|values| !values.is_empty())
}

fn text(fs: &dyn HostFs, path: &str) -> Option<String> {
    let mut buffer = Vec::new();
    fs.read(path, &mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer).trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    #[test]
    fn versions_are_found_where_the_kernel_and_the_driver_put_them() {
        let fs = MemFs::new();
        fs.write("/sys/module/nvidia/version", "550.54.15\n");
        fs.write("/sys/class/infiniband/mlx5_0/fw_ver", "28.39.1002\n");
        fs.write("/sys/class/nvme/nvme0/firmware_rev", "GDC7302Q\n");
        fs.write("/sys/class/dmi/id/bios_version", "1.4.1\n");
        fs.write(
            "/proc/driver/nvidia/gpus/0000:1b:00.0/information",
            "Model: \t\t NVIDIA H100\nVideo BIOS: \t 96.00.74.00.1a\nGPU Firmware: \t 550.54.15\nDevice Minor: 0\n",
        );
        assert_eq!(
            gpu_driver(&fs),
            Some(Values::from([("GPU driver".to_owned(), "550.54.15".to_owned())]))
        );
        let found = firmware(&fs).expect("some firmware");
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "bios",
                "gpu 0000:1b:00.0 GPU Firmware",
                "gpu 0000:1b:00.0 Video BIOS",
                "mlx5_0",
                "nvme0"
            ]
        );
        let bare = MemFs::new();
        assert_eq!((gpu_driver(&bare), firmware(&bare)), (None, None));
    }

    #[test]
    fn an_older_driver_says_its_version_in_a_sentence() {
        let fs = MemFs::new();
        fs.write(
            "/proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  gcc 12.3.0\n",
        );
        let found = gpu_driver(&fs).expect("a driver");
        assert_eq!(found["GPU driver"], "535.129.03");
    }
}
