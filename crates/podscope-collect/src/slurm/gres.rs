//! GPUs in the texts Slurm writes about generic resources. The same thing has many spellings: `gpu:h100:8(IDX:0-7)`,
//! `gres:gpu:2`, `gres/gpu:2`, `gpu:a100:4(S:0-1),gpu:v100:2`, and in TRES strings `gres/gpu=2,gres/gpu:h100=2`.

/// GPUs of a list of generic resources. A MIG slice counts as its part of a GPU: seven of `gpu:1g.10gb` are one GPU.
pub(crate) fn gpus(text: &str) -> f64 {
    items(text).map(|item| gpus_of(item).unwrap_or(0.0)).sum()
}

/// GPUs of a TRES string; absent where it has none. `gres/gpu` is the sum of its typed siblings, which count where it is missing.
pub(crate) fn tres_gpus(text: &str) -> Option<f64> {
    let (mut sum, mut typed) = (None, None);
    for item in text.split(',') {
        let Some((name, count)) = item.trim().split_once('=') else {
            continue;
        };
        let Some(kind) = name.strip_prefix("gres/gpu") else {
            continue;
        };
        let Some(count) = number(count) else { continue };
        match kind.strip_prefix(':') {
            None if kind.is_empty() => sum = Some(count),
            None => {}
            Some(kind) => *typed.get_or_insert(0.0) += count * fraction(kind),
        }
    }
    // Only the typed entries know of MIG.
    match (sum, typed) {
        (Some(sum), Some(typed)) if typed < sum => Some(typed),
        (Some(sum), _) => Some(sum),
        (None, typed) => typed,
    }
}

/// The indices in `(IDX:0-3,5)`; none where Slurm names none.
pub(crate) fn indices(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for item in items(text).filter(|item| gpus_of(item).is_some()) {
        let Some((_, list)) = item.split_once("(IDX:") else {
            continue;
        };
        let list = list.split(')').next().unwrap_or_default();
        for range in list.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) else {
                continue;
            };
            // No node has a thousand GPUs.
            found.extend((first..=last).take(1024));
        }
    }
    found
}

/// The items of a list; commas within parentheses do not part them.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

fn gpus_of(item: &str) -> Option<f64> {
    let item = item
        .strip_prefix("gres:")
        .or_else(|| item.strip_prefix("gres/"))
        .unwrap_or(item);
    let item = item.split('(').next().unwrap_or_default();
    let rest = item.strip_prefix("gpu")?;
    let rest = match rest.strip_prefix(':').or_else(|| rest.strip_prefix('=')) {
        Some(rest) => rest,
        None if rest.is_empty() => return Some(1.0),
        None => return None,
    };
    match rest.rsplit_once([':', '=']) {
        Some((kind, count)) => Some(number(count)? * fraction(kind)),
        None => Some(number(rest).unwrap_or_else(|| fraction(rest))),
    }
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, scale) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1024.0),
        None => (text, 1.0),
    };
    digits.parse::<u32>().ok().map(|count| f64::from(count) * scale)
}

/// What part of a GPU a type is: `1g.10gb` is one of seven compute slices, everything else a whole one.
fn fraction(kind: &str) -> f64 {
    let profile = kind.rsplit(['_', ':']).find_map(|part| {
        let (slices, memory) = part.split_once("g.")?;
        memory.strip_suffix("gb")?;
        slices.parse::<u32>().ok()
    });
    profile.map_or(1.0, |slices| f64::from(slices.min(7)) / 7.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_counted_in_every_spelling() {
        for (text, count) in [
            ("gpu:h100:8", 8.0),
            ("gpu:h100:8(IDX:0-7)", 8.0),
            ("gpu:8(S:0-1)", 8.0),
            ("gres:gpu:2", 2.0),
            ("gres/gpu:2", 2.0),
            ("gres/gpu:h100:4", 4.0),
            ("gpu:a100:4(IDX:0,2-3),gpu:v100:2(IDX:4,6),nvme:1", 6.0),
            ("gpu", 1.0),
            ("gpu:h100", 1.0),
            ("gpu:0", 0.0),
            ("gpu:h100:0(IDX:N/A)", 0.0),
            ("nvme:2,craynetwork:4K", 0.0),
            ("gpuless:3", 0.0),
            ("", 0.0),
            ("gpu:1g.10gb:7", 1.0),
            ("gpu:a100_3g.40gb:7", 3.0),
        ] {
            assert_eq!(gpus(text), count, "{text}");
        }
    }

    #[test]
    fn a_tres_string_counts_its_gpus_once() {
        for (text, count) in [
            ("cpu=4,mem=1000M,node=1,billing=4", None),
            ("cpu=4,gres/gpu=2,gres/gpu:h100=2", Some(2.0)),
            ("cpu=4,gres/gpu:h100=2,gres/gpu:a100=1", Some(3.0)),
            ("gres/gpu=14,gres/gpu:1g.10gb=14", Some(2.0)),
            ("gres/gpuless=4", None),
            ("", None),
        ] {
            assert_eq!(tres_gpus(text), count, "{text}");
        }
    }

    #[test]
    fn indices_are_those_of_the_gpus() {
        assert_eq!(indices("gpu:h100:3(IDX:0,2-3)"), [0, 2, 3]);
        assert_eq!(indices("nvme:1(IDX:0),gpu:1(IDX:7)"), [7]);
        assert!(indices("gpu:h100:0(IDX:N/A)").is_empty());
        assert!(indices("gpu:h100:8(S:0-1)").is_empty());
        assert_eq!(indices("gpu:1(IDX:0-4294967295)").len(), 1024);
    }
}
