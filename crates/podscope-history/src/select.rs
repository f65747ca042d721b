//! Reading: [`SeriesSource`] over segments and heads.

use std::sync::PoisonError;

use podscope_model::labels::Labels;
use podscope_model::matcher::Matcher;
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};

use crate::column::Codec;
use crate::gather::join;
use crate::plan::{Prepared, Query};
use crate::store::History;

impl History {
    fn query<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &'a Budget,
    ) -> Result<(Query<'a>, Vec<Labels>), SourceError> {
        budget.check()?;
        // What lies in segments not looked into yet is not in the catalog yet.
        for segment in &self.view().segments {
            if segment.end_ms() > start_ms && segment.start_ms() <= end_ms {
                self.index(segment)?;
                budget.check()?;
            }
        }
        let catalog = self.catalog().read().unwrap_or_else(PoisonError::into_inner);
        let matched = catalog.matching(matchers);
        let mut wanted = vec![u32::MAX; catalog.id_bound()];
        drop(catalog);
        for (at, (id, _)) in matched.iter().enumerate() {
            wanted[*id as usize] = at as u32;
        }
        let query = Query {
            history: self,
            start_ms,
            end_ms,
            budget,
            codec: Codec::default(),
            wanted,
        };
        Ok((query, matched.into_iter().map(|(_, labels)| labels).collect()))
    }

    fn prepared<'a>(&self, query: &mut Query<'a>) -> Result<Vec<Prepared>, SourceError> {
        let streams = query.chunks()?;
        streams
            .into_values()
            .map(|(stream, chunks)| query.prepare(&stream, chunks))
            .collect()
    }
}

impl SeriesSource for History {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let (mut query, labels) = self.query(select.matchers, select.start_ms, select.end_ms, budget)?;
        if labels.is_empty() || select.end_ms <= select.start_ms {
            return Ok(());
        }
        let streams = self.prepared(&mut query)?;
        for (at, labels) in labels.into_iter().enumerate() {
            let mut parts = Vec::new();
            for stream in &streams {
                if let Some(places) = stream.series.get(&at) {
                    budget.check()?;
                    parts.extend(query.gather(stream, places)?);
                }
            }
            if !parts.is_empty() {
                let (timestamps, values) = join(parts);
                sink(SeriesData {
                    labels,
                    timestamps,
                    values: values.into(),
                })?;
            }
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let (mut query, labels) = self.query(matchers, start_ms, end_ms, budget)?;
        if labels.is_empty() || end_ms <= start_ms {
            return Ok(Vec::new());
        }
        // Looking is not reading: only the caller's series limit counts.
        let looking = Budget::unlimited();
        query.budget = &looking;
        let streams = query.chunks()?;
        let mut found = vec![false; labels.len()];
        for (stream, chunks) in streams.into_values() {
            budget.check()?;
            let prepared = query.prepare(&stream, chunks)?;
            for (at, places) in &prepared.series {
                if !found[*at] {
                    found[*at] = query.occurs(&prepared, places)?;
                }
            }
        }
        let out: Vec<Labels> = labels
            .into_iter()
            .zip(found)
            .filter(|(_, found)| *found)
            .map(|(labels, _)| labels)
            .collect();
        budget.check_series(out.len())?;
        Ok(out)
    }
}
