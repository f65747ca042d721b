//! Who does it: the busiest users, clients, addresses and views, and which of them belong together.

use serde_json::Value;

use crate::client::VmsClient;
use crate::error::VmsError;
use crate::monitor::{time_ms, written};

/// So many of each.
const COUNT: u32 = 50;

/// One line of `topn`: what somebody reads and writes, in the unit of the list (MB/s, 1/s, µs).
#[derive(Clone, Debug, PartialEq)]
pub struct TopRow {
    /// `bw`, `iops`, `md_iops`, `latency`
    pub kind: String,
    pub who: Who,
    pub read: Option<f64>,
    pub write: Option<f64>,
}

/// Whose line it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    pub name: String,
    /// Of users only.
    pub uid: String,
    pub tenant: String,
}

/// One answer of `topn`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Top {
    pub time_ms: Option<i64>,
    pub rows: Vec<TopRow>,
}

/// The way from a client to its data, as `iodata` ties it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    pub host: String,
    pub vip: Vec<String>,
    pub cnode: Vec<String>,
    pub view: Vec<String>,
    pub user: Vec<String>,
}

impl VmsClient {
    /// Who is busiest, now or at a time. `key`: `user`, `client`, `vip`, `vippool`, `view`.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn top(&self, key: &str, at_ms: Option<i64>) -> Result<Top, VmsError> {
        const RESOURCE: &str = "monitors/topn";
        let mut query = vec![("key", key.to_owned()), ("count", COUNT.to_string())];
        query.extend(at_ms.map(|at| ("timestamp", written(at))));
        let answer = self.get(RESOURCE, &query).await?;
        read_top(&answer, key).ok_or_else(|| VmsError::Shape {
            resource: RESOURCE.to_owned(),
            problem: format!("no `data.{key}`"),
        })
    }

    /// Which client reaches which view through which address and CNode, as which user.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn flows(&self) -> Result<Vec<Flow>, VmsError> {
        let answer = self
            .get(
                "iodata",
                &[("time_frame", "10m".to_owned()), ("limit", "200".to_owned())],
            )
            .await?;
        Ok(read_flows(&answer))
    }
}

fn read_top(answer: &Value, key: &str) -> Option<Top> {
    let lists = answer["data"][key].as_object()?;
    let rows = lists.iter().flat_map(|(kind, list)| {
        list.as_array().into_iter().flatten().filter_map(move |row| {
            let number = |name: &str| {
                row[name]
                    .as_f64()
                    .filter(|value| value.is_finite() && *value < 1e19)
            };
            Some(TopRow {
                kind: kind.clone(),
                who: who(row["title"].as_str()?),
                read: number("read"),
                write: number("write"),
            })
        })
    });
    Some(Top {
        time_ms: answer["timestamp"].as_str().and_then(time_ms),
        rows: rows.collect(),
    })
}

/// `(name) uid [tenant]`, of which each may be missing; anything else is a name.
fn who(title: &str) -> Who {
    let mut rest = title.trim();
    let mut found = Who::default();
    if let Some((before, tenant)) = rest.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        tenant.trim().clone_into(&mut found.tenant);
        rest = before.trim();
    }
    if let Some((name, uid)) = rest.strip_prefix('(').and_then(|text| text.rsplit_once(')')) {
        name.trim().clone_into(&mut found.name);
        rest = uid.trim();
        rest.clone_into(&mut found.uid);
    } else if !found.tenant.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        rest.clone_into(&mut found.uid);
        rest.clone_into(&mut found.name);
    } else {
        rest.clone_into(&mut found.name);
    }
    found
}

fn read_flows(answer: &Value) -> Vec<Flow> {
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let hosts = answer["host"].as_object().into_iter().flatten();
    hosts
        .map(|(host, links)| Flow {
            host: host.clone(),
            vip: texts(&links["vip"]),
            cnode: texts(&links["cnode"]),
            view: texts(&links["view"]),
            user: texts(&links["user"]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn titles_of_users_have_a_name_a_number_and_a_tenant_of_which_each_may_be_missing() {
        let parts = |title: &str| {
            let who = who(title);
            (who.name, who.uid, who.tenant)
        };
        let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parts("(root) 0 [default]"), of("root", "0", "default"));
        assert_eq!(parts("(d\\al (x)) 1001 [t 1]"), of("d\\al (x)", "1001", "t 1"));
        assert_eq!(parts("1001 [default]"), of("1001", "1001", "default"));
        assert_eq!(parts("10.0.0.5"), of("10.0.0.5", "", ""));
        assert_eq!(parts("/scratch"), of("/scratch", "", ""));
    }

    #[test]
    fn lists_of_who_is_busiest_are_read_and_what_is_no_number_is_absent() {
        let answer = json!({ "timestamp": "2026-08-18T20:51:00Z", "data": { "user": {
            "iops": [{ "title": "(root) 0 [default]", "read": 5.0, "write": 1.8446744073709552e19_f64, "total": 5.0 }], "bw": [] } } });
        let top = read_top(&answer, "user").expect("good");
        assert_eq!(top.rows.len(), 1);
        assert_eq!((top.rows[0].read, top.rows[0].write), (Some(5.0), None));
        assert_eq!(read_top(&answer, "vip"), None);
    }

    #[test]
    fn flows_tie_clients_to_views() {
        let answer = json!({ "nodes_data": [], "host": { "10.0.0.5": { "vip": ["172.21.0.1"], "cnode": ["cnode-1"],
            "view": ["/train (/train)"], "user": ["(alice) 1001"] } } });
        let flows = read_flows(&answer);
        assert_eq!(flows.len(), 1);
        assert_eq!(
            (flows[0].host.as_str(), flows[0].cnode.as_slice()),
            ("10.0.0.5", &["cnode-1".to_owned()][..])
        );
        assert!(read_flows(&json!([])).is_empty());
    }
}
