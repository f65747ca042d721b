//! Apache Parquet: long (a row per sample, a column per label) or wide (a row per instant, a column per series). Columns
//! are written one after another straight from the series; no Arrow in between.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Exported, Layout, instants, label_names};

/// Rows of one row group.
const GROUP_ROWS: usize = 1 << 20;

fn timestamp() -> anyhow::Result<Arc<Type>> {
    let logical = LogicalType::timestamp(true, TimeUnit::MILLIS);
    Ok(Arc::new(
        Type::primitive_type_builder("timestamp", Physical::INT64)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(logical))
            .build()?,
    ))
}

fn text(name: &str, repetition: Repetition) -> anyhow::Result<Arc<Type>> {
    Ok(Arc::new(
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(repetition)
            .with_logical_type(Some(LogicalType::String))
            .build()?,
    ))
}

fn number(name: &str, repetition: Repetition) -> anyhow::Result<Arc<Type>> {
    Ok(Arc::new(
        Type::primitive_type_builder(name, Physical::DOUBLE)
            .with_repetition(repetition)
            .build()?,
    ))
}

pub(super) fn write(series: &[Exported], layout: Layout, out: &mut dyn Write) -> anyhow::Result<()> {
    let labels = label_names(series);
    let mut fields = vec![timestamp()?];
    match layout {
        Layout::Long => {
            fields.push(text("metric", Repetition::REQUIRED)?);
            for label in &labels {
                // A label may be called as one of our columns is.
                let name = match label.as_str() {
                    "timestamp" | "metric" | "value" => format!("label_{label}"),
                    name => name.to_owned(),
                };
                fields.push(text(&name, Repetition::OPTIONAL)?);
            }
            fields.push(number("value", Repetition::REQUIRED)?);
        }
        Layout::Wide => {
            for one in series {
                fields.push(number(&one.labels.to_string(), Repetition::OPTIONAL)?);
            }
        }
    }
    let schema = Arc::new(Type::group_type_builder("samples").with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("podscope ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    // The writer wants a sink of its own that can be sent: the file is made in memory.
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    match layout {
        Layout::Long => long(series, &labels, &mut writer)?,
        Layout::Wide => wide(series, &mut writer)?,
    }
    out.write_all(&writer.into_inner()?)?;
    Ok(())
}

/// Pieces of series, together at most [`GROUP_ROWS`] samples.
fn groups(series: &[Exported]) -> Vec<Vec<(&Exported, std::ops::Range<usize>)>> {
    let mut all = Vec::new();
    let mut group = Vec::new();
    let mut rows = 0;
    for one in series {
        let mut from = 0;
        while from < one.times.len() {
            let count = (one.times.len() - from).min(GROUP_ROWS - rows);
            group.push((one, from..from + count));
            from += count;
            rows += count;
            if rows == GROUP_ROWS {
                all.push(std::mem::take(&mut group));
                rows = 0;
            }
        }
    }
    if !group.is_empty() {
        all.push(group);
    }
    all
}

fn long(
    series: &[Exported],
    labels: &[String],
    writer: &mut SerializedFileWriter<Vec<u8>>,
) -> anyhow::Result<()> {
    for pieces in groups(series) {
        let mut group = writer.next_row_group()?;
        let mut column = 0;
        while let Some(mut target) = group.next_column()? {
            for (one, range) in &pieces {
                let count = range.len();
                if column == 0 {
                    target
                        .typed::<Int64Type>()
                        .write_batch(&one.times[range.clone()], None, None)?;
                } else if column == 1 {
                    let name = ByteArray::from(one.labels.metric_name().unwrap_or_default());
                    target
                        .typed::<ByteArrayType>()
                        .write_batch(&vec![name; count], None, None)?;
                } else if let Some(label) = labels.get(column - 2) {
                    let (values, level) = match one.labels.get(label) {
                        Some(value) => (vec![ByteArray::from(value); count], 1),
                        None => (Vec::new(), 0),
                    };
                    target
                        .typed::<ByteArrayType>()
                        .write_batch(&values, Some(&vec![level; count]), None)?;
                } else {
                    target
                        .typed::<DoubleType>()
                        .write_batch(&one.values[range.clone()], None, None)?;
                }
            }
            target.close()?;
            column += 1;
        }
        group.close()?;
    }
    Ok(())
}

fn wide(series: &[Exported], writer: &mut SerializedFileWriter<Vec<u8>>) -> anyhow::Result<()> {
    let instants = instants(series);
    let mut group = writer.next_row_group()?;
    let mut column = 0;
    while let Some(mut target) = group.next_column()? {
        match column {
            0 => {
                target.typed::<Int64Type>().write_batch(&instants, None, None)?;
            }
            _ => {
                let one = &series[column - 1];
                let there: std::collections::HashSet<i64> = one.times.iter().copied().collect();
                let levels: Vec<i16> = instants
                    .iter()
                    .map(|instant| i16::from(there.contains(instant)))
                    .collect();
                target
                    .typed::<DoubleType>()
                    .write_batch(&one.values, Some(&levels), None)?;
            }
        }
        target.close()?;
        column += 1;
    }
    group.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_parquet_files() {
        for layout in [Layout::Long, Layout::Wide] {
            let mut bytes = Vec::new();
            write(&super::super::tests::two(), layout, &mut bytes).expect("memory");
            assert!(
                bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"),
                "{layout:?}"
            );
        }
    }
}
