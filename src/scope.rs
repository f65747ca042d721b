//! "Only mine": who is held to their own rows, and whose rows those are (rule 11 of the design).
//!
//! Decided by the role and login in Grafana's plugin context alone, which the person cannot forge; never by a header. Admins
//! and Editors, and so the alert scheduler (which Grafana runs as Admin), see everything. Everybody else (Viewer, no role, a role nobody
//! knows) is held, where the data source says so. What holds them travels with every question to the agents and is part of
//! every key under which answers are shared.

use std::collections::BTreeMap;

use podscope_model::scope::Scope;

use crate::error::QueryError;
use crate::request::User;

/// Which of Grafana's names for a person is the `user` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameBy {
    #[default]
    Login,
    Email,
    /// What stands before the `@` of the e-mail address.
    EmailName,
}

/// The data source's setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSettings {
    /// Whether anybody is held at all.
    pub on: bool,
    pub by: NameBy,
    /// Login or e-mail address -> `user` label; goes before `by`.
    pub users: BTreeMap<String, String>,
    /// Metrics everybody may see: names, or beginnings of names that end in `*`.
    pub public: Vec<String>,
}

impl ScopeSettings {
    /// What one person may see; `None`: everything.
    ///
    /// # Errors
    /// [`QueryError::Nobody`] when a held request names no person.
    pub fn of(&self, user: Option<&User>) -> Result<Option<Scope>, QueryError> {
        if !self.on || user.is_some_and(|user| matches!(user.role.as_str(), "Admin" | "Editor")) {
            return Ok(None);
        }
        let user = user.ok_or(QueryError::Nobody)?;
        let name = self.name(user).ok_or(QueryError::Nobody)?;
        Ok(Some(Scope {
            name,
            public: self.public.clone(),
        }))
    }

    fn name(&self, user: &User) -> Option<String> {
        let known = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (login, email) = (known(&user.login), known(&user.email));
        // Without a login it is nobody's request, whatever else it says.
        let login = login?;
        let listed = |name: &str| self.users.get(name).cloned();
        if let Some(name) = listed(&login).or_else(|| email.as_deref().and_then(listed)) {
            return known(&name);
        }
        match self.by {
            NameBy::Login => Some(login),
            NameBy::Email => email,
            NameBy::EmailName => known(email?.split('@').next()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(login: &str, email: &str, role: &str) -> User {
        User {
            login: login.to_owned(),
            email: email.to_owned(),
            role: role.to_owned(),
        }
    }

    fn on(by: NameBy) -> ScopeSettings {
        ScopeSettings {
            on: true,
            by,
            users: BTreeMap::from([("asmith".to_owned(), "alice".to_owned())]),
            public: vec!["up".to_owned()],
        }
    }

    fn name(settings: &ScopeSettings, user: &User) -> Option<String> {
        settings.of(Some(user)).ok().flatten().map(|scope| scope.name)
    }

    #[test]
    fn admins_editors_and_the_alert_scheduler_see_everything() {
        for role in ["Admin", "Editor"] {
            let free = on(NameBy::Login).of(Some(&user("grafana_scheduler", "", role)));
            assert!(matches!(free, Ok(None)), "{role}");
        }
    }

    #[test]
    fn every_other_role_is_held_even_one_nobody_knows() {
        for role in ["Viewer", "None", "", "admin", "Admin ", "Owner"] {
            assert_eq!(
                name(&on(NameBy::Login), &user("bob", "", role)).as_deref(),
                Some("bob"),
                "{role:?}"
            );
        }
    }

    #[test]
    fn nobody_is_held_while_the_setting_is_off() {
        assert!(matches!(ScopeSettings::default().of(None), Ok(None)));
        assert!(matches!(
            ScopeSettings::default().of(Some(&user("bob", "", "Viewer"))),
            Ok(None)
        ));
    }

    #[test]
    fn a_request_without_a_person_is_refused_not_answered() {
        for nobody in [
            None,
            Some(user("", "bob@example.org", "Viewer")),
            Some(user("  ", "", "None")),
        ] {
            assert!(matches!(
                on(NameBy::Email).of(nobody.as_ref()),
                Err(QueryError::Nobody)
            ));
        }
        assert!(matches!(
            on(NameBy::Email).of(Some(&user("bob", "", "Viewer"))),
            Err(QueryError::Nobody)
        ));
    }

    #[test]
    fn the_label_is_the_mapping_else_the_login_or_the_address() {
        assert_eq!(
            name(&on(NameBy::Login), &user("asmith", "", "Viewer")).as_deref(),
            Some("alice")
        );
        let bob = user("bob", "rob.b@example.org", "Viewer");
        for (by, wanted) in [
            (NameBy::Login, "bob"),
            (NameBy::Email, "rob.b@example.org"),
            (NameBy::EmailName, "rob.b"),
        ] {
            assert_eq!(name(&on(by), &bob).as_deref(), Some(wanted));
        }
    }
}
