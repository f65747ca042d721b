//! Functions that work on label sets: `label_replace`, `label_join`, `absent`.

use podscope_model::labels::{Labels, NAME};
use podscope_model::matcher::MatchOp;
use podscope_model::sample::{Grid, STALE, StepSeries, is_stale};

use super::{Context, Merge};
use crate::EvalError;
use crate::ast::Expr;

impl Context<'_> {
    #[inline(never)]
    pub(super) fn label_replace(&self, args: &[Expr], grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
        let [vector, target, replacement, source, pattern] = args else {
            return Err(EvalError::Execution(
                "label_replace takes five arguments".to_owned(),
            ));
        };
        let (target, replacement) = (text(target)?, text(replacement)?);
        let (source, pattern) = (text(source)?, text(pattern)?);
        let regex = regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
            .size_limit(1 << 20)
            .build()
            .map_err(|_| {
                EvalError::Execution(format!(
                    "invalid regular expression in label_replace(): {pattern}"
                ))
            })?;
        check_label_name("destination", "label_replace", target)?;
        let mut merge = Merge::default();
        for series in self.vector(vector, grid)? {
            let labels = match regex.captures(series.labels.get(source).unwrap_or("")) {
                None => series.labels,
                Some(captures) => {
                    let mut value = String::new();
                    captures.expand(replacement, &mut value);
                    series.labels.with(target, &value)
                }
            };
            merge.add(labels, series.values)?;
        }
        Ok(merge.series)
    }

    #[inline(never)]
    pub(super) fn label_join(&self, args: &[Expr], grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
        let [vector, target, separator, sources @ ..] = args else {
            return Err(EvalError::Execution(
                "label_join takes at least three arguments".to_owned(),
            ));
        };
        let (target, separator) = (text(target)?, text(separator)?);
        let sources = sources
            .iter()
            .map(text)
            .collect::<Result<Vec<&str>, EvalError>>()?;
        for source in &sources {
            check_label_name("source", "label_join", source)?;
        }
        check_label_name("destination", "label_join", target)?;
        let mut merge = Merge::default();
        for series in self.vector(vector, grid)? {
            let parts: Vec<&str> = sources
                .iter()
                .map(|source| series.labels.get(source).unwrap_or(""))
                .collect();
            let labels = series.labels.with(target, &parts.join(separator));
            merge.add(labels, series.values)?;
        }
        Ok(merge.series)
    }
}

/// The text of a string argument.
pub(super) fn text(expr: &Expr) -> Result<&str, EvalError> {
    match expr {
        Expr::String(text) => Ok(text),
        other => Err(EvalError::Execution(format!("not a string: {other}"))),
    }
}

fn check_label_name(which: &str, function: &str, name: &str) -> Result<(), EvalError> {
    if name.is_empty() {
        return Err(EvalError::Execution(format!(
            "invalid {which} label name in {function}(): {name:?}"
        )));
    }
    Ok(())
}

/// The labels `absent` answers with: those that the selector fixes with `=`, each once.
pub(crate) fn absent_labels(expr: &Expr) -> Labels {
    let (Expr::Selector(selector) | Expr::Matrix(selector, _)) = expr else {
        return Labels::empty();
    };
    let mut kept: Vec<(&str, &str)> = Vec::new();
    let mut fixed: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name() != NAME) {
        let name = matcher.name();
        if matcher.op() == MatchOp::Equal && !fixed.contains(&name) {
            kept.push((name, matcher.value()));
            fixed.push(name);
        } else {
            kept.retain(|(known, _)| *known != name);
        }
    }
    Labels::from_pairs(kept)
}

/// One series that is 1 where none of the others has a value.
pub(super) fn absent(labels: &Labels, series: &[StepSeries], grid: Grid) -> Vec<StepSeries> {
    let mut values = vec![1.0; grid.len()];
    for series in series {
        for (out, value) in values.iter_mut().zip(&series.values) {
            if !is_stale(*value) {
                *out = STALE;
            }
        }
    }
    let mut merged = Merge::default();
    // One series cannot meet another.
    match merged.add(labels.clone(), values) {
        Ok(()) => merged.series,
        Err(_) => Vec::new(),
    }
}
