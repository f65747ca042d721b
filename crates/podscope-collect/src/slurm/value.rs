//! Values as slurmrestd writes them: a number is a number, a string, null or `{"set": true, "infinite": false, "number": 7}`;
//! a list of words is a list or one word. What means nothing is absent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A number, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Num(pub(crate) Option<f64>);

/// Slurm's `NO_VAL`s (`INFINITE`, `NO_VAL`, of 16, 32 and 64 bits): they stand where older parsers forgot to say "not set".
const NO_VALUES: [f64; 6] = [
    65_534.0,
    65_535.0,
    4_294_967_294.0,
    4_294_967_295.0,
    18_446_744_073_709_551_614.0,
    18_446_744_073_709_551_615.0,
];

impl Num {
    /// A count: not negative, and none of Slurm's marks for "no value".
    pub(crate) fn count(self) -> Option<u64> {
        let value = self
            .0
            .filter(|value| *value >= 0.0 && !NO_VALUES.contains(value))?;
        Some(value as u64)
    }

    pub(crate) fn count32(self) -> u32 {
        self.count()
            .map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Seconds since 1970; 0 and "no value" are absent.
    pub(crate) fn time(self) -> Option<i64> {
        let seconds = self.count().filter(|seconds| *seconds > 0)?;
        // Beyond the year 9999 it is no time.
        i64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds < 253_402_300_800)
    }

    pub(crate) fn finite(self) -> Option<f64> {
        self.0.filter(|value| value.is_finite())
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumVisitor)
    }
}

struct NumVisitor;

impl<'de> Visitor<'de> for NumVisitor {
    type Value = Num;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Num, E> {
        Ok(Num(Some(f64::from(u8::from(value)))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Num, E> {
        Ok(Num(Some(value as f64)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Num, E> {
        Ok(Num(Some(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Num, E> {
        Ok(Num(Some(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Num, E> {
        Ok(Num(value.trim().parse().ok()))
    }

    fn visit_unit<E>(self) -> Result<Num, E> {
        Ok(Num(None))
    }

    fn visit_none<E>(self) -> Result<Num, E> {
        Ok(Num(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Num, A::Error> {
        let (mut set, mut infinite, mut number) = (true, false, None);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.0.as_ref() {
                "set" => set = map.next_value::<Num>()?.0 != Some(0.0),
                "infinite" => infinite = map.next_value::<Num>()?.0.is_some_and(|value| value != 0.0),
                "number" => number = map.next_value::<Num>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Num(number.filter(|_| set && !infinite)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Num, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Num(None))
    }
}

/// A text; null and what is no text are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    /// The text; Slurm's ways to write "none" are empty.
    pub(crate) fn get(&self) -> &str {
        match self.0.trim() {
            "(null)" | "N/A" | "None assigned" => "",
            text => text,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(value.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(value.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text<'de>, A::Error> {
        let first = list.next_element::<Text<'de>>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

/// Words: a list of texts, or one text; without its empty ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words<'a>(pub(crate) Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = Words<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of words")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Words<'de>, E> {
                Ok(one(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Words<'de>, E> {
                Ok(one(Cow::Owned(value.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Words<'de>, E> {
                Ok(Words::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Words<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Words::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words<'de>, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element::<Text<'de>>()? {
                    if !word.get().is_empty() {
                        words.push(word.0);
                    }
                }
                Ok(Words(words))
            }
        }
        fn one(word: Cow<'_, str>) -> Words<'_> {
            let word = Text(word);
            if word.get().is_empty() {
                Words::default()
            } else {
                Words(vec![word.0])
            }
        }
        deserializer.deserialize_any(WordsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn num(json: &str) -> Option<f64> {
        serde_json::from_str::<Num>(json).expect(json).0
    }

    #[test]
    fn a_number_is_found_in_every_form_it_comes_in() {
        for (json, value) in [
            ("7", Some(7.0)),
            ("-2", Some(-2.0)),
            ("\"13\"", Some(13.0)),
            ("null", None),
            ("\"N/A\"", None),
            ("[1]", None),
            (r#"{"set": true, "infinite": false, "number": 7}"#, Some(7.0)),
            (r#"{"set": false, "infinite": false, "number": 0}"#, None),
            (r#"{"set": true, "infinite": true, "number": 0}"#, None),
            (r#"{"number": 3, "unit": "m"}"#, Some(3.0)),
            ("{}", None),
        ] {
            assert_eq!(num(json), value, "{json}");
        }
    }

    #[test]
    fn slurms_marks_for_no_value_are_no_counts_and_no_times() {
        for value in NO_VALUES.into_iter().chain([-2.0]) {
            assert_eq!(Num(Some(value)).count(), None, "{value}");
        }
        assert_eq!(Num(Some(0.0)).time(), None);
        assert_eq!(Num(Some(1_795_247_491.0)).time(), Some(1_795_247_491));
        assert_eq!(Num(Some(1e15)).time(), None, "not a second of any calendar");
    }

    #[test]
    fn words_are_a_list_or_one_word() {
        let words = |json: &str| -> Vec<String> {
            let words: Words<'_> = serde_json::from_str(json).expect(json);
            words.0.into_iter().map(Cow::into_owned).collect()
        };
        assert_eq!(words(r#"["IDLE", "DRAIN"]"#), ["IDLE", "DRAIN"]);
        assert_eq!(words(r#""mixed""#), ["mixed"]);
        for none in ["[]", "\"\"", "null", "{}", "\"(null)\""] {
            assert!(words(none).is_empty(), "{none}");
        }
    }
}
