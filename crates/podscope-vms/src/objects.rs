//! Inventory: the objects behind the numbers. Fields that are missing or of another type are absent; a list that is missing
//! altogether is an error.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::client::{VmsClient, list};
use crate::error::VmsError;

/// A field that may be missing, null, or of another type than expected: then it is absent.
fn lenient<'de, D: serde::Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// A number, also one written as text.
fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    })
}

macro_rules! object {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* ; numbers { $($number:ident),* } }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        pub struct $name {
            pub id: i64,
            $($(#[$field_meta])* #[serde(deserialize_with = "lenient")] pub $field: Option<$kind>,)*
            $(#[serde(deserialize_with = "number")] pub $number: Option<f64>,)*
        }
    };
}

object! {
    /// `clusters`; sizes in bytes.
    VastCluster {
        name: String,
        sw_version: String,
        state: String,
        ssd_raid_state: String,
        nvram_raid_state: String,
        memory_raid_state: String,
        system_settings: Map<String, Value>,
        ; numbers { physical_space, physical_space_in_use, logical_space, logical_space_in_use, drr }
    }
}

impl VastCluster {
    /// The settings that can be changed, as texts by name, nested ones with dots between: two of them can be compared.
    pub fn settings(&self) -> std::collections::BTreeMap<String, String> {
        fn take(prefix: &str, value: &Value, into: &mut std::collections::BTreeMap<String, String>) {
            match value {
                Value::Object(object) => {
                    for (name, value) in object {
                        let name = if prefix.is_empty() {
                            name.clone()
                        } else {
                            format!("{prefix}.{name}")
                        };
                        take(&name, value, into);
                    }
                }
                Value::String(text) => {
                    into.insert(prefix.to_owned(), text.clone());
                }
                other => {
                    into.insert(prefix.to_owned(), other.to_string());
                }
            }
        }
        let mut settings = std::collections::BTreeMap::new();
        for (name, value) in self.system_settings.iter().flatten() {
            take(name, value, &mut settings);
        }
        settings
    }

    /// Whether prefetch is on, where the server tells.
    pub fn prefetch(&self) -> Option<bool> {
        match self.system_settings.as_ref()?.get("data_prefetch_enabled")? {
            Value::Bool(on) => Some(*on),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "enabled" | "on" => Some(true),
                "false" | "disabled" | "off" => Some(false),
                _ => None,
            },
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            _ => None,
        }
    }
}

object! {
    /// `cnodes`, `dnodes`, `nics`, `ssds`: what is in a box.
    VastDevice {
        name: String,
        title: String,
        display_name: String,
        hostname: String,
        host: String,
        cnode: String,
        state: String,
        ; numbers { }
    }
}

impl VastDevice {
    /// The name people know it by.
    pub fn called(&self) -> &str {
        [&self.name, &self.display_name, &self.title]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .find(|name| !name.is_empty())
            .unwrap_or_default()
    }

    /// The box it is in, or its own host name.
    pub fn host_name(&self) -> &str {
        [&self.hostname, &self.host, &self.cnode]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| self.called())
    }
}

object! {
    /// `vips`: which CNode serves an address now.
    VastVip {
        ip: String,
        vippool: String,
        cnode: String,
        tenant_name: String,
        ; numbers { }
    }
}

object! {
    /// `views`
    VastView {
        path: String,
        tenant_name: String,
        ; numbers { logical_capacity, physical_capacity }
    }
}

object! {
    /// `quotas`
    VastQuota {
        name: String,
        path: String,
        state: String,
        tenant_name: String,
        ; numbers { soft_limit, hard_limit, used_capacity, used_inodes }
    }
}

impl VmsClient {
    /// All objects of a list.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn objects<T: DeserializeOwned>(&self, resource: &str) -> Result<Vec<T>, VmsError> {
        let answer = self.get(resource, &[]).await?;
        let objects = list(resource, answer)?
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<_, _>>();
        objects.map_err(|error| VmsError::Shape {
            resource: resource.to_owned(),
            problem: error.to_string(),
        })
    }

    /// The clusters with their settings.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn clusters(&self) -> Result<Vec<VastCluster>, VmsError> {
        self.objects("clusters").await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_compare_as_texts_and_prefetch_is_read_in_any_form() {
        let cluster = |settings: Value| VastCluster {
            system_settings: settings.as_object().cloned(),
            ..VastCluster::default()
        };
        let settings =
            cluster(json!({ "data_prefetch_enabled": true, "qos": { "mode": "STATIC", "limit": 7 } }))
                .settings();
        let pairs: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("data_prefetch_enabled", "true"),
                ("qos.limit", "7"),
                ("qos.mode", "STATIC")
            ]
        );
        for (value, wanted) in [
            (json!(true), Some(true)),
            (json!("DISABLED"), Some(false)),
            (json!(1), Some(true)),
            (json!([]), None),
        ] {
            assert_eq!(
                cluster(json!({ "data_prefetch_enabled": value })).prefetch(),
                wanted
            );
        }
        assert_eq!(VastCluster::default().prefetch(), None);
    }

    #[test]
    fn a_field_of_another_type_costs_only_itself() {
        let cnode: VastDevice = serde_json::from_value(
            json!({ "id": 3, "name": "cnode-3", "hostname": 7, "state": null, "x": {} }),
        )
        .expect("an object");
        assert_eq!(
            (cnode.id, cnode.called(), cnode.host_name()),
            (3, "cnode-3", "cnode-3")
        );
        let quota: VastQuota =
            serde_json::from_value(json!({ "id": 1, "hard_limit": "1000", "soft_limit": null }))
                .expect("an object");
        assert_eq!((quota.hard_limit, quota.soft_limit), (Some(1000.0), None));
    }
}
