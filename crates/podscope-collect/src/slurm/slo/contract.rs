//! What is promised, and to whom.

/// A tenant and its contract. Prices in dollars per GPU and hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    pub name: String,
    /// Slurm accounts.
    pub accounts: Vec<String>,
    /// GPUs promised.
    pub gpus: f64,
    /// What it pays.
    pub price: f64,
    /// What a GPU costs that is promised, wanted, late and not there.
    pub penalty: f64,
    /// What each promised GPU costs while the P90 of the tenant's waits is beyond the target; 0 without such a clause.
    pub wait_penalty: f64,
    /// The most an incident can cost, in dollars.
    pub cap: Option<f64>,
}

impl Tenant {
    /// Dollars an hour that the contract is worth.
    pub fn worth(&self) -> f64 {
        self.gpus * self.price
    }
}

/// What is promised to everybody, and the tenants.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Seconds a job may wait.
    pub target_s: f64,
    /// Share of the jobs that must not wait longer.
    pub objective: f64,
    /// Dollars an hour of an allocated, wasted GPU.
    pub idle_price: Option<f64>,
    pub tenants: Vec<Tenant>,
}

impl Default for Contract {
    fn default() -> Self {
        Self {
            target_s: 600.0,
            objective: 0.9,
            idle_price: None,
            tenants: Vec::new(),
        }
    }
}

impl Contract {
    /// Places 1, 2, ... of the tenants by what their contracts are worth, or by promised GPUs where nothing is said of
    /// prices. In the order of `tenants`.
    pub fn ranks(&self) -> Vec<usize> {
        let priced = self.tenants.iter().any(|tenant| tenant.worth() > 0.0);
        let size = |tenant: &Tenant| if priced { tenant.worth() } else { tenant.gpus };
        let mut order: Vec<usize> = (0..self.tenants.len()).collect();
        order.sort_by(|a, b| size(&self.tenants[*b]).total_cmp(&size(&self.tenants[*a])));
        let mut ranks = vec![0; order.len()];
        for (place, tenant) in order.into_iter().enumerate() {
            ranks[tenant] = place + 1;
        }
        ranks
    }

    /// Share of the jobs beyond the target, as a multiple of what may be.
    pub fn burn(&self, longer: f64) -> f64 {
        longer / (1.0 - self.objective)
    }
}

/// What a tenant has, wants and waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    pub allocated: f64,
    /// Pending for want of capacity.
    pub pending: f64,
    /// Of these, beyond the target.
    pub late: f64,
    /// The P90 of its waits is beyond the target.
    pub wait_broken: bool,
}

impl Standing {
    /// GPUs that are promised, wanted, late and not there.
    pub fn owed(&self, tenant: &Tenant) -> f64 {
        (tenant.gpus.min(self.allocated + self.late) - self.allocated).max(0.0)
    }

    /// Dollars an hour, if it goes on like this. `accrued` is what the incident has cost so far.
    pub fn exposure(&self, tenant: &Tenant, accrued: f64) -> f64 {
        let wait = if self.wait_broken {
            tenant.wait_penalty * tenant.gpus
        } else {
            0.0
        };
        let rate = tenant.penalty * self.owed(tenant) + wait;
        match tenant.cap {
            Some(cap) => rate.min((cap - accrued).max(0.0)),
            None => rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(gpus: f64, price: f64) -> Tenant {
        Tenant {
            gpus,
            price,
            penalty: 3.0,
            ..Tenant::default()
        }
    }

    #[test]
    fn only_what_is_promised_wanted_late_and_missing_is_owed() {
        let alpha = tenant(128.0, 2.0);
        for (allocated, pending, late, owed) in [
            // Idle: nothing is wanted.
            (0.0, 0.0, 0.0, 0.0),
            // All it was promised, and more wanted.
            (128.0, 64.0, 64.0, 0.0),
            // Wanted, but not for long.
            (64.0, 64.0, 0.0, 0.0),
            // Half of what it wants is late.
            (64.0, 64.0, 32.0, 32.0),
            // It wants more than was promised.
            (64.0, 500.0, 500.0, 64.0),
            // It has more than was promised.
            (200.0, 64.0, 64.0, 0.0),
        ] {
            let standing = Standing {
                allocated,
                pending,
                late,
                wait_broken: false,
            };
            assert_eq!(standing.owed(&alpha), owed, "{standing:?}");
            assert_eq!(standing.exposure(&alpha, 0.0), 3.0 * owed);
        }
    }

    #[test]
    fn a_wait_clause_costs_every_promised_gpu_and_the_cap_ends_it() {
        let mut alpha = tenant(100.0, 2.0);
        alpha.wait_penalty = 0.5;
        let standing = Standing {
            allocated: 60.0,
            pending: 40.0,
            late: 40.0,
            wait_broken: true,
        };
        assert_eq!(standing.exposure(&alpha, 0.0), 3.0 * 40.0 + 50.0);
        alpha.cap = Some(1000.0);
        assert_eq!(standing.exposure(&alpha, 900.0), 100.0);
        assert_eq!(standing.exposure(&alpha, 1000.0), 0.0);
        assert_eq!(standing.exposure(&alpha, 1100.0), 0.0);
    }

    #[test]
    fn whales_are_those_who_pay_most_or_were_promised_most() {
        let mut contract = Contract {
            tenants: vec![tenant(100.0, 1.0), tenant(50.0, 3.0), tenant(200.0, 0.1)],
            ..Contract::default()
        };
        assert_eq!(contract.ranks(), [2, 1, 3]);
        for tenant in &mut contract.tenants {
            tenant.price = 0.0;
        }
        assert_eq!(contract.ranks(), [2, 3, 1]);
    }
}
