//! Why a job waits, in classes. Only waiting for capacity counts against the promise; for the rest the job's owner, an
//! administrator or another job is what it waits for.

use serde::Serialize;

/// What a pending job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Nodes and GPUs, or jobs ahead of it.
    Capacity,
    /// A limit of its own account, user or QOS.
    Limit,
    /// Its owner or an administrator holds it, or it is to begin later.
    Held,
    /// Another job, or a licence.
    Dependency,
    /// A reservation, or nodes out of service.
    Maintenance,
}

impl Class {
    pub const ALL: [Self; 5] = [
        Self::Capacity,
        Self::Limit,
        Self::Held,
        Self::Dependency,
        Self::Maintenance,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Limit => "limit",
            Self::Held => "held",
            Self::Dependency => "dependency",
            Self::Maintenance => "maintenance",
        }
    }

    /// The class of a reason as Slurm writes it (`src/common/slurm_protocol_defs.c`, `job_reason_string`).
    pub fn of(reason: &str) -> Self {
        match reason {
            // No reason yet: the scheduler has not looked at the job.
            "" | "None" | "Resources" | "Priority" | "Prolog" | "Cleaning" | "NodeDown" => Self::Capacity,
            "Dependency"
            | "DependencyNeverSatisfied"
            | "Licenses"
            | "BurstBufferResources"
            | "BurstBufferStageIn" => Self::Dependency,
            "ReqNodeNotAvail" | "Reservation" | "ReservationDeleted" | "PartitionDown"
            | "PartitionInactive" | "FrontEndDown" => Self::Maintenance,
            "BeginTime" | "InvalidAccount" | "InvalidQOS" | "BadConstraints" | "DeadLine"
            | "AccountNotAllowed" | "QOSNotAllowed" | "PartitionConfig" | "SystemFailure"
            | "JobHoldMaxRequeue" => Self::Held,
            // `ReqNodeNotAvail, UnavailableNodes:n1` and its like.
            _ if reason.starts_with("ReqNodeNotAvail") || reason.starts_with("Reserved for maintenance") => {
                Self::Maintenance
            }
            _ if reason.starts_with("QOS")
                || reason.starts_with("Assoc")
                || reason.starts_with("Max")
                || reason.starts_with("Partition")
                || reason.contains("Limit") =>
            {
                Self::Limit
            }
            _ if reason.contains("Held") || reason.contains("held") || reason.contains("failure") => {
                Self::Held
            }
            _ => Self::Capacity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_finds_its_class() {
        for (reason, class) in [
            ("None", Class::Capacity),
            ("Resources", Class::Capacity),
            ("Priority", Class::Capacity),
            ("QOSMaxGRESPerUser", Class::Limit),
            ("QOSGrpCpuLimit", Class::Limit),
            ("AssocGrpGRES", Class::Limit),
            ("AssocMaxJobsLimit", Class::Limit),
            ("MaxGRESPerAccount", Class::Limit),
            ("PartitionTimeLimit", Class::Limit),
            ("JobArrayTaskLimit", Class::Limit),
            ("JobHeldUser", Class::Held),
            ("JobHeldAdmin", Class::Held),
            ("BeginTime", Class::Held),
            ("launch failed requeued held", Class::Held),
            ("Dependency", Class::Dependency),
            ("DependencyNeverSatisfied", Class::Dependency),
            ("Reservation", Class::Maintenance),
            ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", Class::Maintenance),
            ("PartitionDown", Class::Maintenance),
            ("SomethingNew", Class::Capacity),
        ] {
            assert_eq!(Class::of(reason), class, "{reason}");
        }
    }
}
