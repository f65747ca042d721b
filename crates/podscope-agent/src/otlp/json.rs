//! Numbers in OTLP's JSON form: 64-bit integers are text, though some senders write numbers; what JSON has no number for is
//! text too (`"NaN"`); an enumeration is its number, though some senders write its name.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::message::{CUMULATIVE, DELTA, Nothing};

fn u64_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            number
                .as_f64()
                .filter(|value| *value >= 0.0)
                .map(|value| value as u64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn f64_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
}

fn wrong<E: serde::de::Error>(value: &Value, wanted: &str) -> E {
    E::custom(format!("{value} is no {wanted}"))
}

pub(super) fn integer<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(from)?;
    match value {
        Value::Null => Ok(0),
        value => u64_of(&value).ok_or_else(|| wrong(&value, "whole number")),
    }
}

pub(super) fn integers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let list: Vec<Value> = Option::deserialize(from)?.unwrap_or_default();
    list.iter()
        .map(|value| u64_of(value).ok_or_else(|| wrong(value, "whole number")))
        .collect()
}

pub(super) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(from)?;
    let number = match &value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| wrong(&value, "whole number"))
}

pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let value = Value::deserialize(from)?;
    match value {
        Value::Null => Ok(None),
        value => f64_of(&value).map(Some).ok_or_else(|| wrong(&value, "number")),
    }
}

pub(super) fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let list: Vec<Value> = Option::deserialize(from)?.unwrap_or_default();
    list.iter()
        .map(|value| f64_of(value).ok_or_else(|| wrong(value, "number")))
        .collect()
}

pub(super) fn temporality<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(match &value {
        Value::String(text) if text.ends_with("DELTA") => DELTA,
        Value::String(text) if text.ends_with("CUMULATIVE") => CUMULATIVE,
        Value::Number(number) => number
            .as_i64()
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or(0),
        _ => 0,
    })
}

pub(super) fn counts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Nothing>, D::Error> {
    let list: Vec<serde::de::IgnoredAny> = Option::deserialize(from)?.unwrap_or_default();
    Ok(vec![Nothing {}; list.len()])
}
