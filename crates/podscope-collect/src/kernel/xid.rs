//! NVIDIA's XID errors: what each number means, what NVIDIA says to do, and how bad it is.
//!
//! Meanings and actions follow NVIDIA's catalog (docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, as of
//! 2025-10); the class is gpud's judgement (leptonai/gpud, Apache-2.0, `components/accelerator/nvidia/xid`). The two
//! disagree in places: the action is NVIDIA's.

use podscope_model::event::Severity;

/// How bad an error is for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum XidClass {
    /// Nothing is wrong.
    Info,
    /// An application's fault, or to be watched.
    Warning,
    /// The GPU, or what runs on it, cannot go on.
    Fatal,
}

impl XidClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Fatal => "fatal",
        }
    }

    pub fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Warning => Severity::Warning,
            Self::Fatal => Severity::Critical,
        }
    }
}

/// One entry of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid {
    pub meaning: &'static str,
    /// NVIDIA's immediate action, as its catalog names it.
    pub action: &'static str,
    /// NVIDIA's next step.
    pub investigate: &'static str,
    pub class: XidClass,
}

const fn entry(
    meaning: &'static str,
    action: &'static str,
    investigate: &'static str,
    class: XidClass,
) -> Xid {
    Xid {
        meaning,
        action,
        investigate,
        class,
    }
}

/// What is known of a number; `None` for one that NVIDIA lists as unused or not at all.
pub fn xid(number: u64) -> Option<Xid> {
    use XidClass::{Fatal, Info, Warning};
    Some(match number {
        8 | 11 | 25 => entry(
            "channel idle timeout or bad push buffer",
            "RESTART_APP",
            "CHECK_APP",
            Warning,
        ),
        13 => entry(
            "graphics engine exception",
            "RESTART_APP",
            "WORKFLOW_XID_13",
            Warning,
        ),
        31 => entry("GPU memory page fault", "RESTART_APP", "WORKFLOW_XID_31", Warning),
        32 => entry("corrupted push buffer", "RESTART_APP", "CHECK_APP", Fatal),
        38 => entry("driver firmware error", "IGNORE", "CONTACT_SUPPORT", Fatal),
        37 | 66 | 67 => entry(
            "driver firmware error or illegal access",
            "IGNORE",
            "CONTACT_SUPPORT",
            Warning,
        ),
        39..=41 | 70..=72 | 75..=77 | 85 | 126..=135 => {
            entry("copy engine error", "RESTART_APP", "CONTACT_SUPPORT", Warning)
        }
        43 => entry(
            "GPU stopped processing: a channel was reset",
            "IGNORE",
            "CONTACT_SUPPORT",
            Warning,
        ),
        44 => entry("fault during context switch", "IGNORE", "CONTACT_SUPPORT", Fatal),
        45 => entry(
            "preemptive cleanup after another error",
            "FOLLOW_THE_OTHER_XID",
            "RESTART_FM_IF_ALONE",
            Warning,
        ),
        46 | 62 => entry(
            "GPU timeout or microcontroller halt",
            "RESET_GPU",
            "CONTACT_SUPPORT",
            Fatal,
        ),
        48 => entry(
            "uncorrectable double-bit ECC error",
            "WORKFLOW_XID_48",
            "SEE_XID_171_172",
            Fatal,
        ),
        54 => entry(
            "auxiliary power is not connected",
            "CHECK_MECHANICALS",
            "CONTACT_SUPPORT",
            Warning,
        ),
        60 | 68 => entry(
            "video processor exception",
            "RESTART_APP",
            "CONTACT_SUPPORT",
            Fatal,
        ),
        82..=84 | 86 | 88 | 89 | 96..=105 | 139 | 142 => entry(
            "video, JPEG or optical flow engine error",
            "RESTART_APP",
            "CONTACT_SUPPORT",
            Warning,
        ),
        63 => entry(
            "row remapping or page retirement recorded",
            "IGNORE",
            "RESET_GPU_WHEN_IDLE",
            Fatal,
        ),
        64 => entry(
            "row remapping or page retirement failed",
            "RESET_GPU",
            "CONTACT_SUPPORT",
            Fatal,
        ),
        69 => entry("graphics engine class error", "RESTART_APP", "CHECK_APP", Fatal),
        74 => entry("NVLink error", "WORKFLOW_NVLINK_ERR", "CONTACT_SUPPORT", Fatal),
        78 => entry("vGPU start error", "UPDATE_SWFW", "CONTACT_SUPPORT", Fatal),
        79 => entry(
            "GPU has fallen off the bus",
            "RESTART_BM",
            "CONTACT_SUPPORT",
            Fatal,
        ),
        80 => entry(
            "corrupted data sent to the GPU",
            "RESTART_APP",
            "CHECK_APP",
            Warning,
        ),
        92 => entry(
            "high rate of single-bit ECC errors",
            "IGNORE",
            "CONTACT_SUPPORT",
            Warning,
        ),
        93 => entry("InfoROM wear", "IGNORE", "CONTACT_SUPPORT", Warning),
        94 => entry(
            "contained memory error",
            "RESTART_APP",
            "RESET_GPU_WHEN_IDLE",
            Fatal,
        ),
        95 => entry("uncontained memory error", "RESET_GPU", "CONTACT_SUPPORT", Fatal),
        109 => entry("context switch timeout", "RESET_GPU", "CONTACT_SUPPORT", Warning),
        110 => entry("security fault", "RESET_GPU", "CONTACT_SUPPORT", Fatal),
        119 | 120 => entry("GSP firmware timeout or error", "RESET_GPU", "UPDATE_SWFW", Fatal),
        121 => entry("C2C link error", "IGNORE", "CONTACT_SUPPORT", Fatal),
        136 => entry(
            "NVLink training failed",
            "RESET_GPU",
            "INVESTIGATE_LINK_SI",
            Warning,
        ),
        137 => entry("NVLink privilege error", "IGNORE", "XID_137_FLOW", Warning),
        140 => entry("unrecovered ECC error", "RESET_GPU", "CONTACT_SUPPORT", Fatal),
        143 => entry("GPU initialisation failed", "RESET_GPU", "CONTACT_SUPPORT", Fatal),
        141 | 152 | 153 | 157 | 160 | 161 => entry(
            "channel or page retirement, or engine report",
            "IGNORE",
            "CONTACT_SUPPORT",
            Info,
        ),
        144..=150 => entry("NVLink 5 unit error", "WORKFLOW_NVLINK5", "XID_154_EVAL", Warning),
        151 => entry("key rotation", "RESTART_VM", "CONTACT_SUPPORT", Warning),
        154 => entry(
            "the GPU's recovery action changed",
            "DO_WHAT_IT_SAYS",
            "DO_WHAT_IT_SAYS",
            Warning,
        ),
        155 | 156 | 158 => entry(
            "NVLink or resource error",
            "RESET_GPU",
            "CONTACT_SUPPORT",
            Warning,
        ),
        159 => entry("CHI non-data error", "CHECK_UVM", "CONTACT_SUPPORT", Warning),
        162 | 163 => entry(
            "power smoothing circuit switched",
            "NONE_GIVEN",
            "NONE_GIVEN",
            Info,
        ),
        164 | 165 => entry(
            "power smoothing circuit near its end of life",
            "NONE_GIVEN",
            "NONE_GIVEN",
            Warning,
        ),
        166 => entry(
            "confidential computing error",
            "NONE_GIVEN",
            "NONE_GIVEN",
            Warning,
        ),
        167 => entry("fatal PCIe timeout", "NONE_GIVEN", "NONE_GIVEN", Warning),
        168 => entry("memory was reduced", "NONE_GIVEN", "NONE_GIVEN", Warning),
        169 | 170 => entry("security engine halt", "NONE_GIVEN", "NONE_GIVEN", Warning),
        171 => entry(
            "uncorrectable error in device memory",
            "WORKFLOW_XID_48",
            "CONTACT_SUPPORT",
            Fatal,
        ),
        172 => entry(
            "uncorrectable error in on-chip memory",
            "WORKFLOW_XID_48",
            "CONTACT_SUPPORT",
            Fatal,
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_people_ask_about_have_their_action() {
        for (number, action, class) in [
            (13, "RESTART_APP", XidClass::Warning),
            (48, "WORKFLOW_XID_48", XidClass::Fatal),
            (63, "IGNORE", XidClass::Fatal),
            (74, "WORKFLOW_NVLINK_ERR", XidClass::Fatal),
            (79, "RESTART_BM", XidClass::Fatal),
            (95, "RESET_GPU", XidClass::Fatal),
            (119, "RESET_GPU", XidClass::Fatal),
            (149, "WORKFLOW_NVLINK5", XidClass::Warning),
        ] {
            let known = xid(number).expect("in the catalog");
            assert_eq!((known.action, known.class), (action, class), "XID {number}");
        }
        assert_eq!(xid(0), None);
        assert_eq!(xid(9_999), None);
        let known = (0..=200).filter(|number| xid(*number).is_some()).count();
        assert!(known >= 100, "{known} of the catalog's used numbers");
    }
}
