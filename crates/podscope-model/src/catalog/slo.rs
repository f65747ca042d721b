//! The promise about queue wait, and what breaking it costs: the contract is configuration (`[slo]`), everything else is
//! counted from the scheduler. `docs/slo.md` has the formulas.

use super::{Job, metrics};

const GROUP: &[&str] = &["window", "partition", "account", "qos"];

metrics! { Job::Slo;
    WAIT_TARGET = Gauge, Seconds, "podscope_slo_wait_target_seconds", [], "Queue wait that is promised.", "configuration";
    OBJECTIVE = Gauge, Ratio, "podscope_slo_objective_ratio", [], "Share of the jobs that must not wait longer.", "configuration";
    ATTAINMENT = Gauge, Ratio, "podscope_slo_attainment_ratio", GROUP, "Share of the jobs that start within the target, jobs that still wait included; over the last 5 minutes or hour.", "slurmrestd jobs";
    BURN_RATE = Gauge, None, "podscope_slo_burn_rate", GROUP, "Share of the jobs beyond the target by the share that may be: above 1 the promise is broken.", "slurmrestd jobs";
    BREACHED = Gauge, Bool, "podscope_slo_breached", ["partition", "account", "qos"], "1 while the burn rate of the last hour is above 1.", "slurmrestd jobs";

    TENANT_PROMISED = Gauge, None, "podscope_slo_tenant_promised_gpus", ["tenant"], "GPUs promised to the tenant.", "configuration";
    TENANT_ALLOCATED = Gauge, None, "podscope_slo_tenant_allocated_gpus", ["tenant"], "GPUs the tenant's jobs have.", "slurmrestd jobs";
    TENANT_PENDING = Gauge, None, "podscope_slo_tenant_pending_gpus", ["tenant"], "GPUs the tenant's jobs wait for, for want of capacity.", "slurmrestd jobs";
    TENANT_LATE = Gauge, None, "podscope_slo_tenant_late_gpus", ["tenant"], "Of these, GPUs of jobs that have waited beyond the target.", "slurmrestd jobs";
    TENANT_OWED = Gauge, None, "podscope_slo_tenant_owed_gpus", ["tenant"], "GPUs that are promised, wanted, late and not there.", "slurmrestd jobs";
    TENANT_WAIT = Gauge, Seconds, "podscope_slo_tenant_wait_seconds", ["tenant", "quantile"], "The tenant's queue wait as podscope_job_wait_seconds; absent below 20 starts.", "slurmrestd jobs";
    TENANT_PROJECTED_WAIT = Gauge, Seconds, "podscope_slo_tenant_projected_wait_seconds", ["tenant"], "GPU hours ahead of the tenant's last job by GPU hours finished an hour: what a job submitted now would wait.", "slurmrestd jobs";
    TENANT_BURN_RATE = Gauge, None, "podscope_slo_tenant_burn_rate", ["tenant", "window"], "The tenant's burn rate.", "slurmrestd jobs";
    TENANT_CONTRACT = Gauge, None, "podscope_slo_tenant_contract_dollars_per_hour", ["tenant"], "Promised GPUs times price: what makes a tenant a whale.", "configuration";
    TENANT_RANK = Gauge, None, "podscope_slo_tenant_rank", ["tenant"], "Place by contract, 1 to 10; beyond that absent.", "configuration";
    TENANT_STATUS = Gauge, Code, "podscope_slo_tenant_status", ["tenant", "status", "reason"], "0 ok, 1 at risk, 2 breached; the labels say it in words, with the reason.", "slurmrestd jobs";
    EXPOSURE = Gauge, None, "podscope_slo_exposure_dollars_per_hour", ["tenant"], "Penalty that an hour like now would cost.", "slurmrestd jobs, configuration";
    EXPOSURE_ACCRUED = Gauge, None, "podscope_slo_exposure_accrued_dollars", ["tenant"], "Integral of the exposure since the open incident began; absent without one.", "slurmrestd jobs, configuration, events";
    INCIDENT_OPENED = Gauge, Timestamp, "podscope_slo_incident_opened_timestamp_seconds", [], "Since when the open incident counts.", "events";
    IDLE_PRICE = Gauge, None, "podscope_slo_idle_gpu_price_dollars_per_hour", [], "What an hour of an allocated, wasted GPU costs; apart from the exposure, never added to it.", "configuration";
    IDLE_COST = Gauge, None, "podscope_slo_idle_dollars_per_hour", [], "Price times allocated GPUs that are wasted: below 5 % busy for 30 minutes.", "GPUs' own series, configuration";
}
