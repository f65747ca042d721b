//! The protocol's messages into plain data and back. Nothing here can fail: an unknown role, a missing time range or an
//! empty context is passed on as it is, and whoever needs it says what is missing.

use std::collections::HashMap;

use bytes::Bytes;
use grafana_plugin_sdk::pluginv2;

use super::messages::{DataResponse, QueryDataResponse};
use crate::error::QueryError;
use crate::frames::{self, Frame};
use crate::request::{
    Context, DataSource, QueryAnswers, QueryRequest, RawQuery, ResourceRequest, ResourceResponse, User,
};

pub(super) fn context(context: Option<pluginv2::PluginContext>) -> Context {
    let Some(context) = context else {
        return Context::default();
    };
    Context {
        org_id: context.org_id,
        plugin_id: context.plugin_id,
        user: context.user.map(|user| User {
            login: user.login,
            email: user.email,
            role: user.role,
        }),
        datasource: context.data_source_instance_settings.map(|settings| DataSource {
            uid: settings.uid,
            name: settings.name,
            url: settings.url,
            json: settings.json_data,
            secrets: settings.decrypted_secure_json_data,
            updated_ms: settings.last_updated_ms,
        }),
    }
}

pub(super) fn query_request(request: pluginv2::QueryDataRequest) -> QueryRequest {
    QueryRequest {
        context: context(request.plugin_context),
        headers: request.headers,
        queries: request.queries.into_iter().map(query).collect(),
    }
}

fn query(query: pluginv2::DataQuery) -> RawQuery {
    let range = query.time_range.unwrap_or_default();
    RawQuery {
        ref_id: query.ref_id,
        query_type: query.query_type,
        max_data_points: query.max_data_points,
        interval_ms: query.interval_ms,
        from_ms: range.from_epoch_ms,
        to_ms: range.to_epoch_ms,
        json: query.json,
    }
}

pub(super) fn query_response(answers: QueryAnswers) -> QueryDataResponse {
    let responses = answers
        .into_iter()
        .map(|(ref_id, answer)| {
            let response = answer
                .and_then(|frames| data_response(&frames))
                .unwrap_or_else(error_response);
            (ref_id, response)
        })
        .collect();
    QueryDataResponse { responses }
}

fn data_response(list: &[Frame]) -> Result<DataResponse, QueryError> {
    let frames = list
        .iter()
        .map(|frame| frames::encode(frame).map(Bytes::from))
        .collect::<Result<_, _>>()
        .map_err(QueryError::from)?;
    Ok(DataResponse {
        frames,
        status: 200,
        ..DataResponse::default()
    })
}

fn error_response(error: QueryError) -> DataResponse {
    DataResponse {
        frames: Vec::new(),
        status: i32::from(error.status()),
        error_source: error.source_kind().as_str().to_owned(),
        error: error.text(),
    }
}

pub(super) fn resource_request(request: pluginv2::CallResourceRequest) -> ResourceRequest {
    // `url` is the path with the query string; `path` lacks the string.
    let query = request
        .url
        .split_once('?')
        .map_or("", |(_, query)| query)
        .to_owned();
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, list)| list.values.join(","))
            .unwrap_or_default()
    };
    let gzip = header("accept-encoding").split(',').any(|coding| {
        let coding = coding.trim();
        coding == "gzip" || (coding.starts_with("gzip;") && !coding.ends_with("q=0"))
    });
    ResourceRequest {
        context: context(request.plugin_context),
        method: request.method,
        path: request.path.trim_start_matches('/').to_owned(),
        query,
        body: request.body,
        gzip,
    }
}

pub(super) fn resource_response(response: ResourceResponse) -> pluginv2::CallResourceResponse {
    let list = |value: &str| pluginv2::StringList {
        values: vec![value.to_owned()],
    };
    let mut headers = HashMap::from([("Content-Type".to_owned(), list(response.content_type))]);
    if let Some(encoding) = response.content_encoding {
        headers.insert("Content-Encoding".to_owned(), list(encoding));
    }
    pluginv2::CallResourceResponse {
        code: i32::from(response.status),
        headers,
        body: response.body,
    }
}
