//! The scheduler: what slurmrestd tells, under the names of the known Slurm exporters where they have one, and what is made
//! of it.
//!
//! `partition`, `account` and `qos` are `all` where a series is about all of them. Sums of jobs and GPUs count a job array's
//! tasks one by one.

use super::{Job, metrics};

const WAIT: &[&str] = &["quantile", "partition", "account", "qos"];
const GROUP: &[&str] = &["partition", "account", "qos"];

metrics! { Job::Slurm;
    QUEUE_PENDING = Gauge, None, "slurm_queue_pending", [], "Pending jobs.", "slurmrestd jobs";
    QUEUE_PENDING_DEPENDENCY = Gauge, None, "slurm_queue_pending_dependency", [], "Pending jobs that wait for another job.", "slurmrestd jobs";
    QUEUE_RUNNING = Gauge, None, "slurm_queue_running", [], "Running jobs.", "slurmrestd jobs";
    QUEUE_SUSPENDED = Gauge, None, "slurm_queue_suspended", [], "Suspended jobs.", "slurmrestd jobs";
    QUEUE_CONFIGURING = Gauge, None, "slurm_queue_configuring", [], "Jobs whose nodes are being made ready.", "slurmrestd jobs";
    QUEUE_COMPLETING = Gauge, None, "slurm_queue_completing", [], "Jobs that are being cleaned up.", "slurmrestd jobs";
    QUEUE_COMPLETED = Gauge, None, "slurm_queue_completed", [], "Completed jobs that slurmctld still remembers (MinJobAge).", "slurmrestd jobs";
    QUEUE_CANCELLED = Gauge, None, "slurm_queue_cancelled", [], "Cancelled jobs that slurmctld still remembers (MinJobAge).", "slurmrestd jobs";
    QUEUE_FAILED = Gauge, None, "slurm_queue_failed", [], "Failed jobs that slurmctld still remembers (MinJobAge).", "slurmrestd jobs";
    QUEUE_TIMEOUT = Gauge, None, "slurm_queue_timeout", [], "Jobs stopped at their time limit that slurmctld still remembers (MinJobAge).", "slurmrestd jobs";
    QUEUE_PREEMPTED = Gauge, None, "slurm_queue_preempted", [], "Preempted jobs that slurmctld still remembers (MinJobAge).", "slurmrestd jobs";
    QUEUE_NODE_FAIL = Gauge, None, "slurm_queue_node_fail", [], "Jobs ended by the failure of a node that slurmctld still remembers (MinJobAge).", "slurmrestd jobs";
    PENDING_REASON = Gauge, None, "slurm_pending_reason_total", ["reason"], "Pending jobs by the reason Slurm gives; a gauge in spite of its name.", "slurmrestd jobs";

    NODES_ALLOC = Gauge, None, "slurm_nodes_alloc", [], "Nodes whose resources are all allocated.", "slurmrestd nodes";
    NODES_COMP = Gauge, None, "slurm_nodes_comp", [], "Nodes on which jobs are being cleaned up.", "slurmrestd nodes";
    NODES_DOWN = Gauge, None, "slurm_nodes_down", [], "Nodes that are down.", "slurmrestd nodes";
    NODES_DRAIN = Gauge, None, "slurm_nodes_drain", [], "Nodes that are drained or draining.", "slurmrestd nodes";
    NODES_ERR = Gauge, None, "slurm_nodes_err", [], "Nodes in error.", "slurmrestd nodes";
    NODES_FAIL = Gauge, None, "slurm_nodes_fail", [], "Nodes expected to fail.", "slurmrestd nodes";
    NODES_IDLE = Gauge, None, "slurm_nodes_idle", [], "Idle nodes.", "slurmrestd nodes";
    NODES_MAINT = Gauge, None, "slurm_nodes_maint", [], "Nodes in maintenance.", "slurmrestd nodes";
    NODES_MIX = Gauge, None, "slurm_nodes_mix", [], "Nodes whose resources are partly allocated.", "slurmrestd nodes";
    NODES_RESV = Gauge, None, "slurm_nodes_resv", [], "Reserved nodes.", "slurmrestd nodes";
    NODES_REBOOT = Gauge, None, "slurm_nodes_reboot", [], "Nodes that reboot or are to be rebooted.", "slurmrestd nodes";
    NODE_UNAVAILABLE = Gauge, Seconds, "podscope_slurm_node_unavailable_seconds", ["node", "state", "reason"], "How long a node has been down, drained, failing or in maintenance for this reason; of at most 500 nodes.", "slurmrestd nodes";

    CPUS_ALLOC = Gauge, None, "slurm_cpus_alloc", [], "Allocated CPUs.", "slurmrestd nodes";
    CPUS_IDLE = Gauge, None, "slurm_cpus_idle", [], "Idle CPUs of nodes that take jobs.", "slurmrestd nodes";
    CPUS_OTHER = Gauge, None, "slurm_cpus_other", [], "CPUs that are not allocated on nodes that take no jobs.", "slurmrestd nodes";
    CPUS_TOTAL = Gauge, None, "slurm_cpus_total", [], "Configured CPUs.", "slurmrestd nodes";
    GPUS_ALLOC = Gauge, None, "slurm_gpus_alloc", [], "Allocated GPUs.", "slurmrestd nodes";
    GPUS_IDLE = Gauge, None, "slurm_gpus_idle", [], "Idle GPUs of nodes that take jobs.", "slurmrestd nodes";
    GPUS_OTHER = Gauge, None, "slurm_gpus_other", [], "GPUs that are not allocated on nodes that take no jobs.", "slurmrestd nodes";
    GPUS_TOTAL = Gauge, None, "slurm_gpus_total", [], "Configured GPUs.", "slurmrestd nodes";
    GPUS_AVAILABLE = Gauge, None, "slurm_gpus_available", [], "Configured GPUs without those on nodes that are down, drained, failing, in maintenance or reserved.", "slurmrestd nodes";
    GPUS_UTILIZATION = Gauge, Ratio, "slurm_gpus_utilization", [], "Allocated GPUs by configured GPUs; says nothing about whether they are busy.", "slurmrestd nodes";

    PARTITION_CPUS_ALLOCATED = Gauge, None, "slurm_partition_cpus_allocated", ["partition"], "Allocated CPUs of the partition's nodes.", "slurmrestd nodes";
    PARTITION_CPUS_IDLE = Gauge, None, "slurm_partition_cpus_idle", ["partition"], "Idle CPUs of the partition's nodes that take jobs.", "slurmrestd nodes";
    PARTITION_CPUS_OTHER = Gauge, None, "slurm_partition_cpus_other", ["partition"], "CPUs that are not allocated on the partition's nodes that take no jobs.", "slurmrestd nodes";
    PARTITION_CPUS_TOTAL = Gauge, None, "slurm_partition_cpus_total", ["partition"], "Configured CPUs of the partition's nodes.", "slurmrestd nodes";
    PARTITION_JOBS_PENDING = Gauge, None, "slurm_partition_jobs_pending", ["partition"], "Pending jobs of the partition.", "slurmrestd jobs";
    PARTITION_GPUS_ALLOCATED = Gauge, None, "slurm_partition_gpus_allocated", ["partition"], "Allocated GPUs of the partition's nodes.", "slurmrestd nodes";
    PARTITION_GPUS_AVAILABLE = Gauge, None, "slurm_partition_gpus_available", ["partition"], "GPUs of the partition's nodes that take jobs.", "slurmrestd nodes";
    PARTITION_GPUS_TOTAL = Gauge, None, "slurm_partition_gpus_total", ["partition"], "Configured GPUs of the partition's nodes.", "slurmrestd nodes";

    ACCOUNT_JOBS_PENDING = Gauge, None, "slurm_account_jobs_pending", ["account"], "Pending jobs of the account.", "slurmrestd jobs";
    ACCOUNT_JOBS_RUNNING = Gauge, None, "slurm_account_jobs_running", ["account"], "Running jobs of the account.", "slurmrestd jobs";
    ACCOUNT_JOBS_SUSPENDED = Gauge, None, "slurm_account_jobs_suspended", ["account"], "Suspended jobs of the account.", "slurmrestd jobs";
    ACCOUNT_CPUS_PENDING = Gauge, None, "slurm_account_cpus_pending", ["account"], "CPUs that the account's pending jobs ask for.", "slurmrestd jobs";
    ACCOUNT_CPUS_RUNNING = Gauge, None, "slurm_account_cpus_running", ["account"], "CPUs of the account's running jobs.", "slurmrestd jobs";
    ACCOUNT_GPUS_PENDING = Gauge, None, "slurm_account_gpus_pending", ["account"], "GPUs that the account's pending jobs ask for.", "slurmrestd jobs";
    ACCOUNT_GPUS_RUNNING = Gauge, None, "slurm_account_gpus_running", ["account"], "GPUs of the account's running jobs.", "slurmrestd jobs";
    ACCOUNT_FAIRSHARE = Gauge, Ratio, "slurm_account_fairshare", ["account"], "Slurm's fair-share factor of the account; absent before slurmrestd 0.0.40.", "slurmrestd shares";
    USER_JOBS_PENDING = Gauge, None, "slurm_user_jobs_pending", ["user"], "Pending jobs of the user; of the 200 users with most jobs.", "slurmrestd jobs";
    USER_JOBS_RUNNING = Gauge, None, "slurm_user_jobs_running", ["user"], "Running jobs of the user; of the 200 users with most jobs.", "slurmrestd jobs";
    USER_CPUS_RUNNING = Gauge, None, "slurm_user_cpus_running", ["user"], "CPUs of the user's running jobs; of the 200 users with most jobs.", "slurmrestd jobs";

    SCHEDULER_THREADS = Gauge, None, "slurm_scheduler_threads", [], "Threads of slurmctld that serve requests.", "slurmrestd diag";
    SCHEDULER_QUEUE_SIZE = Gauge, None, "slurm_scheduler_queue_size", [], "Messages of slurmctld to nodes that wait to be sent.", "slurmrestd diag";
    SCHEDULER_DBD_QUEUE_SIZE = Gauge, None, "slurm_scheduler_dbd_queue_size", [], "Records of slurmctld that wait for slurmdbd.", "slurmrestd diag";
    SCHEDULER_LAST_CYCLE = Gauge, Microseconds, "slurm_scheduler_last_cycle", [], "Time the last scheduling cycle took.", "slurmrestd diag";
    SCHEDULER_MEAN_CYCLE = Gauge, Microseconds, "slurm_scheduler_mean_cycle", [], "Mean time of a scheduling cycle since Slurm's statistics were reset.", "slurmrestd diag";
    SCHEDULER_CYCLE_PER_MINUTE = Gauge, None, "slurm_scheduler_cycle_per_minute", [], "Scheduling cycles a minute since Slurm's statistics were reset.", "slurmrestd diag";
    SCHEDULER_BACKFILL_LAST_CYCLE = Gauge, Microseconds, "slurm_scheduler_backfill_last_cycle", [], "Time the last backfill cycle took.", "slurmrestd diag";
    SCHEDULER_BACKFILL_MEAN_CYCLE = Gauge, Microseconds, "slurm_scheduler_backfill_mean_cycle", [], "Mean time of a backfill cycle since Slurm's statistics were reset.", "slurmrestd diag";
    SCHEDULER_BACKFILL_DEPTH_MEAN = Gauge, None, "slurm_scheduler_backfill_depth_mean", [], "Mean number of jobs a backfill cycle looked at.", "slurmrestd diag";
    SCHEDULER_BACKFILLED_START = Counter, None, "slurm_scheduler_backfilled_jobs_since_start_total", [], "Jobs started by backfill since slurmctld started.", "slurmrestd diag";
    SCHEDULER_BACKFILLED_CYCLE = Gauge, None, "slurm_scheduler_backfilled_jobs_since_cycle_total", [], "Jobs started by backfill since Slurm's statistics were reset.", "slurmrestd diag";
    RPC_USER_COUNT = Counter, None, "slurm_rpc_user_count", ["user"], "Requests to slurmctld of the 10 users who sent most.", "slurmrestd diag";
    RPC_USER_TIME = Counter, Microseconds, "slurm_rpc_user_total_time", ["user"], "Time slurmctld spent on their requests.", "slurmrestd diag";
    RPC_TYPE_COUNT = Counter, None, "slurm_rpc_msg_type_count", ["type"], "Requests to slurmctld by type, the 20 commonest.", "slurmrestd diag";
    RPC_TYPE_TIME = Counter, Microseconds, "slurm_rpc_msg_type_total_time", ["type"], "Time slurmctld spent on requests of this type.", "slurmrestd diag";

    WAIT_QUANTILE = Gauge, Seconds, "podscope_job_wait_seconds", WAIT, "Queue wait from eligible to start over the last hour, jobs that still wait included (Kaplan-Meier, late entry); absent below 20 starts and where the quantile is not reached.", "slurmrestd jobs, slurmdb";
    WAIT_LOWER_BOUND = Gauge, Seconds, "podscope_job_wait_seconds_lower_bound", WAIT, "Where the quantile is not reached: at least so long; the quantile over waits of started and ages of waiting jobs.", "slurmrestd jobs, slurmdb";
    WAIT_STARTED = Gauge, None, "podscope_job_wait_seconds_started", GROUP, "Starts of the last hour behind the quantiles.", "slurmrestd jobs, slurmdb";
    WAIT_PENDING = Gauge, None, "podscope_job_wait_seconds_pending", GROUP, "Jobs behind the quantiles that still wait for capacity.", "slurmrestd jobs";
    WAIT_CANCELLED = Gauge, None, "podscope_job_wait_seconds_cancelled", GROUP, "Jobs of the last hour that were cancelled while they waited; many of them make the quantiles too small.", "slurmrestd jobs";
    WAIT_GPU_WEIGHTED = Gauge, Seconds, "podscope_job_wait_gpu_weighted_seconds", WAIT, "As podscope_job_wait_seconds, each job weighted with its GPUs.", "slurmrestd jobs, slurmdb";
    WAIT_FROM_SUBMIT = Gauge, Seconds, "podscope_job_wait_from_submit_seconds", WAIT, "As podscope_job_wait_seconds, from submission to start.", "slurmrestd jobs, slurmdb";
    STARTED_WAIT_BUCKET = Counter, None, "podscope_job_started_wait_seconds_bucket", ["partition", "le"], "Jobs that started after waiting at most so long; those that still wait are not in it.", "slurmrestd jobs";
    STARTED_WAIT_SUM = Counter, Seconds, "podscope_job_started_wait_seconds_sum", ["partition"], "Waits of the jobs that started.", "slurmrestd jobs";
    STARTED_WAIT_COUNT = Counter, None, "podscope_job_started_wait_seconds_count", ["partition"], "Jobs that started.", "slurmrestd jobs";

    PENDING_JOBS = Gauge, None, "podscope_slurm_pending_jobs", ["class", "partition"], "Pending jobs by class of reason: capacity, limit, held, dependency, maintenance.", "slurmrestd jobs";
    PENDING_GPUS = Gauge, None, "podscope_slurm_pending_gpus", ["class", "partition"], "GPUs that pending jobs ask for, by class of reason.", "slurmrestd jobs";
    PENDING_OLDEST = Gauge, Seconds, "podscope_slurm_pending_oldest_seconds", ["class", "partition"], "Age of the job that has waited longest, by class of reason.", "slurmrestd jobs";
    BACKLOG_JOBS = Gauge, None, "podscope_slurm_backlog_jobs", ["partition", "account"], "Eligible jobs that wait for capacity.", "slurmrestd jobs";
    BACKLOG_GPUS = Gauge, None, "podscope_slurm_backlog_gpus", ["partition", "account"], "GPUs that eligible jobs waiting for capacity ask for.", "slurmrestd jobs";
    BACKLOG_GPU_HOURS = Gauge, None, "podscope_slurm_backlog_gpu_hours", ["partition", "account"], "GPUs times time limit of eligible jobs that wait for capacity.", "slurmrestd jobs";
    BACKLOG_OLDEST = Gauge, Seconds, "podscope_slurm_backlog_oldest_seconds", ["partition", "account"], "Age of the eligible job that has waited longest for capacity.", "slurmrestd jobs";
    ARRIVED_JOBS = Counter, None, "podscope_slurm_jobs_arrived_total", ["partition", "account"], "Jobs that became eligible and wanted capacity.", "slurmrestd jobs";
    ARRIVED_GPUS = Counter, None, "podscope_slurm_gpus_arrived_total", ["partition", "account"], "GPUs that these jobs asked for.", "slurmrestd jobs";
    STARTED_JOBS = Counter, None, "podscope_slurm_jobs_started_total", ["partition", "account"], "Jobs that started.", "slurmrestd jobs";
    STARTED_GPUS = Counter, None, "podscope_slurm_gpus_started_total", ["partition", "account"], "GPUs of jobs that started.", "slurmrestd jobs";
    LEFT_JOBS = Counter, None, "podscope_slurm_jobs_left_queue_total", ["partition", "account"], "Jobs that left the queue without a start: cancelled, or held back by something else than capacity.", "slurmrestd jobs";
    LEFT_GPUS = Counter, None, "podscope_slurm_gpus_left_queue_total", ["partition", "account"], "GPUs that these jobs asked for.", "slurmrestd jobs";
    ENDED_JOBS = Counter, None, "podscope_slurm_jobs_ended_total", ["partition", "state"], "Jobs that ended, by Slurm's state.", "slurmrestd jobs, slurmdb";
    FINISHED_GPU_HOURS = Counter, None, "podscope_slurm_gpu_hours_finished_total", ["partition", "state"], "GPU hours of jobs that ended, by Slurm's state.", "slurmrestd jobs, slurmdb";
    DRAIN_ETA = Gauge, Seconds, "podscope_slurm_drain_eta_seconds", ["partition"], "When the backlog is empty if starts and arrivals go on as in the last 15 minutes; absent while it does not shrink.", "slurmrestd jobs";
    FAILURE_RATIO = Gauge, Ratio, "podscope_slurm_job_failure_ratio", ["class"], "Share of the jobs ended in the last hour that failed, by class: infra (node or boot failure) and user; absent below 20.", "slurmrestd jobs, slurmdb";
    LOST_GPU_HOURS = Counter, None, "podscope_slurm_gpu_hours_lost_total", ["class"], "GPU hours of jobs that failed, by class.", "slurmrestd jobs, slurmdb";
    RESTARTS = Counter, None, "podscope_slurm_job_restarts_total", ["cause"], "Requeues by cause: node_fail, preempted, requeue.", "slurmrestd jobs";
    RESUBMISSIONS = Counter, None, "podscope_slurm_job_resubmissions_total", [], "Jobs submitted by the same user with the same name and folder within 15 minutes of a failure.", "slurmrestd jobs";

    SHARE_TARGET = Gauge, Ratio, "podscope_slurm_share_target_ratio", ["account"], "Share of the cluster the account is to get.", "slurmrestd shares, slurmdb associations";
    SHARE_NOW = Gauge, Ratio, "podscope_slurm_share_now_ratio", ["account"], "Share of the allocated GPUs the account has now.", "slurmrestd jobs";
    SHARE_USED = Gauge, Ratio, "podscope_slurm_share_effective_usage_ratio", ["account"], "Share of the decayed usage; its half-life is days, so it says nothing about an incident.", "slurmrestd shares";
    LEVEL_FS = Gauge, None, "podscope_slurm_level_fairshare", ["account"], "Target by effective usage: above 1 the account has had less than its share.", "slurmrestd shares";
    OVER_USE = Gauge, Bool, "podscope_slurm_over_use", ["account"], "1 where the account has over 1.5 times its share of GPUs while an account below its share waits for capacity.", "slurmrestd jobs, shares";

    UP = Gauge, Bool, "podscope_slurm_up", ["cluster", "api"], "Whether slurmctld answered the last time.", "slurmrestd";
    POLL_SECONDS = Gauge, Seconds, "podscope_slurm_poll_duration_seconds", [], "Time the last round of questions took.", "slurmrestd";
    POLL_AGE = Gauge, Seconds, "podscope_slurm_poll_age_seconds", [], "Age of the last full answer.", "slurmrestd";
    POLL_FAILURES = Counter, None, "podscope_slurm_poll_failures_total", [], "Rounds of questions that failed.", "slurmrestd";
    POLL_UNCHANGED = Counter, None, "podscope_slurm_poll_unchanged_total", ["what"], "Answers that said that nothing had changed since the last one.", "slurmrestd";
    CLOCK_SKEW = Gauge, Seconds, "podscope_slurm_clock_skew_seconds", [], "slurmctld's clock minus this node's.", "slurmrestd diag";
    LEFT_OUT = Gauge, None, "podscope_slurm_left_out", ["what"], "Jobs, nodes, groups or users without series because there are too many.", "the agent";
}
