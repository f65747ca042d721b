//! What stays as it is while the machine runs: its make, its devices, its mounts.

use podscope_collect::Uname;

use super::Machine;
use crate::noise::{hash, unit};

impl Machine {
    pub(super) fn write_what_never_changes(&self, name: &str) {
        let fs = &self.fs;
        fs.set_uname(Uname {
            sysname: "Linux".to_owned(),
            release: "6.8.0-45-generic".to_owned(),
            version: "#45-Ubuntu SMP PREEMPT_DYNAMIC".to_owned(),
            machine: "x86_64".to_owned(),
            nodename: name.to_owned(),
            domainname: "(none)".to_owned(),
        });
        fs.write(
            "/etc/os-release",
            "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nVERSION=\"24.04.1 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nVERSION_ID=\"24.04\"\n",
        );
        fs.write("/proc/sys/kernel/random/entropy_avail", "256\n");
        fs.write("/proc/sys/kernel/random/poolsize", "256\n");
        fs.write("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
        fs.write(
            "/proc/1/mountinfo",
            "24 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1 rw\n\
             31 24 0:22 / /proc rw,nosuid shared:2 - proc proc rw\n\
             40 24 259:1 / /scratch rw,noatime shared:3 - xfs /dev/nvme1n1 rw\n\
             44 24 0:51 / /home rw,relatime shared:4 - nfs4 storage:/home rw\n",
        );
        fs.write(
            "/sys/devices/system/clocksource/clocksource0/available_clocksource",
            "tsc hpet acpi_pm\n",
        );
        fs.write(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
            "tsc\n",
        );
        fs.write("/sys/class/hwmon/hwmon0/name", "coretemp\n");
        fs.write("/sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n");
        fs.write("/sys/class/hwmon/hwmon0/temp1_crit", "100000\n");
        fs.write("/sys/class/hwmon/hwmon0/temp1_max", "90000\n");
        for cpu in 0..self.counters.cpus.len() {
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
            fs.write(&format!("{folder}/topology/physical_package_id"), "0\n");
            fs.write(&format!("{folder}/topology/core_id"), format!("{cpu}\n"));
            fs.write(&format!("{folder}/thermal_throttle/core_throttle_count"), "0\n");
            fs.write(
                &format!("{folder}/thermal_throttle/package_throttle_count"),
                "0\n",
            );
        }
        let devices = [
            ("lo", "00:00:00:00:00:00", 65_536, "772", -1),
            ("eth0", "", 1_500, "1", 25_000),
            ("ib0", "", 4_092, "32", 400_000),
        ];
        for (at, (device, address, mtu, kind, speed)) in devices.into_iter().enumerate() {
            let folder = format!("/sys/class/net/{device}");
            let attribute = |name: &str, value: String| fs.write(&format!("{folder}/{name}"), value + "\n");
            let made = format!(
                "02:00:{at:02x}:{:02x}:{:02x}:01",
                self.index >> 8 & 0xff,
                self.index & 0xff
            );
            attribute(
                "address",
                if address.is_empty() {
                    made
                } else {
                    address.to_owned()
                },
            );
            attribute(
                "operstate",
                if device == "lo" { "unknown" } else { "up" }.to_owned(),
            );
            attribute("flags", "0x1003".to_owned());
            attribute("carrier", "1".to_owned());
            attribute("ifindex", (at + 1).to_string());
            attribute("mtu", mtu.to_string());
            attribute("type", kind.to_owned());
            attribute("tx_queue_len", "1000".to_owned());
            if speed > 0 {
                attribute("speed", speed.to_string());
                attribute("duplex", "full".to_owned());
            }
        }
        for disk in 0..2 {
            let folder = format!("/sys/class/nvme/nvme{disk}");
            let sectors: u64 = if disk == 0 { 937_703_088 } else { 30_005_842_608 };
            let serial = format!("S{:08X}", hash(self.seed, 70, disk) >> 32);
            for (file, text) in [
                ("firmware_rev", "GDC7502Q".to_owned()),
                ("model", "SAMSUNG MZWLO15THBLA".to_owned()),
                ("serial", serial),
                ("state", "live".to_owned()),
                ("cntlid", "1".to_owned()),
            ] {
                fs.write(&format!("{folder}/{file}"), text + "\n");
            }
            let namespace = format!("{folder}/nvme{disk}n1");
            fs.write(&format!("{namespace}/size"), format!("{sectors}\n"));
            fs.write(
                &format!("{namespace}/nuse"),
                format!("{}\n", (sectors as f64 * unit(self.seed, 71, disk)) as u64),
            );
            fs.write(&format!("{namespace}/queue/logical_block_size"), "512\n");
            fs.write(&format!("/sys/block/nvme{disk}n1/queue/rotational"), "0\n");
        }
    }
}
