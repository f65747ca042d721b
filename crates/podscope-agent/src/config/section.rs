//! One declaration per configuration key: the macro that makes a section's struct, its defaults and its reference from
//! the same lines. The doc comment of a key *is* its documentation.

/// One key of a section as the reference shows it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    /// Lines of the doc comment, each with its leading space.
    pub doc: &'static [&'static str],
    /// TOML shown in a comment where the default is "not set".
    pub example: Option<&'static str>,
}

/// A table of the config file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Empty for the root.
    pub name: &'static str,
    pub doc: &'static [&'static str],
    pub keys: &'static [Key],
}

/// Declares a section. `key: Type = default;` or, for a key that may be left unset, `key: Type = None, "toml example";`.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident = $table:literal {
            $(
                $(#[doc = $key_doc:literal])*
                $key:ident : $type:ty = $default:expr $(, $example:literal)? ;
            )*
        }
        $(sections { $($(#[doc = $sub_doc:literal])* $sub:ident : $sub_type:ty;)* })?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $key_doc])* pub $key: $type,)*
            $($($(#[doc = $sub_doc])* pub $sub: $sub_type,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    $($($sub: <$sub_type>::default(),)*)?
                }
            }
        }

        impl $name {
            /// The section's reference.
            pub const SECTION: $crate::config::Section = $crate::config::Section {
                name: $table,
                doc: &[$($doc),*],
                keys: &[$($crate::config::Key {
                    name: stringify!($key),
                    doc: &[$($key_doc),*],
                    example: section!(@example $($example)?),
                }),*],
            };
        }
    };
    (@example) => { None };
    (@example $example:literal) => { Some($example) };
}
pub(crate) use section;
