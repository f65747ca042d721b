//! The checked expression tree that evaluation and planning work on: parentheses gone, durations in milliseconds,
//! functions resolved. Made from promql-parser's tree by [`crate::lower`].

use podscope_model::labels::Labels;
use podscope_model::matcher::Matcher;

use crate::ValueType;
use crate::function::Func;

#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Number(f64),
    String(String),
    Selector(Selector),
    /// A range selector with its range.
    Matrix(Selector, i64),
    Subquery(Box<Subquery>),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Func, Vec<Expr>),
    /// Planning only: 1 with these labels where the argument has no series.
    AbsentOf(Labels, Box<Expr>),
    /// Planning only: the merged answer of a fragment.
    Remote(usize),
    /// Planning only: the series of both sides, which come from different places.
    Union(Box<Expr>, Box<Expr>),
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Step,
    Start,
    End,
    Time(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// The metric name included, as a matcher of `__name__`.
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset_ms: i64,
    pub(crate) at: At,
}

#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) expr: Expr,
    pub(crate) range_ms: i64,
    /// `None`: Prometheus's default evaluation interval, [`DEFAULT_SUBQUERY_STEP_MS`].
    pub(crate) step_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) at: At,
}

/// The step of a subquery that names none: `evaluation_interval` of a Prometheus server that was not told otherwise.
pub(crate) const DEFAULT_SUBQUERY_STEP_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Whether the result is no longer the metric its left operand was.
    pub(crate) fn changes_metric(self) -> bool {
        !self.is_comparison() && !self.is_set()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Expr,
    pub(crate) rhs: Expr,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cardinality {
    OneToOne,
    ManyToOne,
    OneToMany,
}

/// How series of two vectors find each other. Set operators ignore the cardinality.
#[derive(Clone, Debug)]
pub(crate) struct Matching {
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) cardinality: Cardinality,
    /// Labels copied from the "one" side.
    pub(crate) include: Vec<String>,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            on: false,
            labels: Vec::new(),
            cardinality: Cardinality::OneToOne,
            include: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
}

impl AggregateOp {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Expr>,
    pub(crate) expr: Expr,
    pub(crate) grouping: Grouping,
}

/// Which labels make a group; sorted, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

impl Grouping {
    /// Whether series that differ in `label` stay apart.
    pub(crate) fn keeps(&self, label: &str) -> bool {
        match self {
            Self::By(labels) => labels.iter().any(|own| own == label),
            Self::Without(labels) => labels.iter().all(|own| own != label),
        }
    }
}

impl Expr {
    pub(crate) fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Matrix(..) | Self::Subquery(_) => ValueType::Matrix,
            Self::Negate(inner) => inner.value_type(),
            Self::Binary(binary) => binary.value_type(),
            Self::Call(func, _) => func.signature().returns,
            Self::Selector(_)
            | Self::Aggregate(_)
            | Self::AbsentOf(..)
            | Self::Remote(_)
            | Self::Union(..) => ValueType::Vector,
        }
    }

    /// Calls `visit` for every node, parents first.
    pub(crate) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        // An explicit stack: a chain of a thousand operators is a tree a thousand deep.
        let mut stack = vec![self];
        while let Some(expr) = stack.pop() {
            visit(expr);
            match expr {
                Self::Number(_)
                | Self::String(_)
                | Self::Selector(_)
                | Self::Matrix(..)
                | Self::Remote(_) => {}
                Self::Subquery(subquery) => stack.push(&subquery.expr),
                Self::Negate(inner) | Self::AbsentOf(_, inner) => stack.push(inner),
                Self::Binary(binary) => stack.extend([&binary.rhs, &binary.lhs]),
                Self::Union(left, right) => stack.extend([right.as_ref(), left.as_ref()]),
                Self::Aggregate(aggregate) => {
                    stack.push(&aggregate.expr);
                    stack.extend(aggregate.param.as_ref());
                }
                Self::Call(_, args) => stack.extend(args.iter().rev()),
            }
        }
    }

    /// Every selector in the expression, in the order of the text.
    pub(crate) fn selectors(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| {
            if let Self::Selector(selector) | Self::Matrix(selector, _) = expr {
                found.push(selector);
            }
        });
        found
    }
}

impl Expr {
    /// Whether the expression is the same at every step, so that Prometheus evaluates it once.
    pub(crate) fn is_step_invariant(&self) -> bool {
        let mut stack = vec![self];
        while let Some(expr) = stack.pop() {
            match expr {
                Self::Number(_) | Self::String(_) => {}
                Self::Selector(selector) | Self::Matrix(selector, _) if selector.at == At::Step => {
                    return false;
                }
                Self::Selector(_) | Self::Matrix(..) => {}
                Self::Subquery(subquery) if subquery.at == At::Step => return false,
                Self::Subquery(_) => {}
                Self::Negate(inner) => stack.push(inner),
                Self::Binary(binary) => stack.extend([&binary.lhs, &binary.rhs]),
                // The parameter is not looked at.
                Self::Aggregate(aggregate) => stack.push(&aggregate.expr),
                Self::Call(func, args) => {
                    let of_selector = matches!(args.as_slice(), [Self::Selector(_)]);
                    if func.depends_on_time() && !(*func == Func::Timestamp && of_selector) {
                        return false;
                    }
                    stack.extend(args);
                }
                Self::AbsentOf(..) | Self::Remote(_) | Self::Union(..) => return false,
            }
        }
        true
    }
}

impl Binary {
    fn value_type(&self) -> ValueType {
        // The left spine in a loop, for the sake of long chains.
        let mut at = self;
        loop {
            if at.rhs.value_type() == ValueType::Vector {
                return ValueType::Vector;
            }
            match &at.lhs {
                Expr::Binary(next) => at = next,
                other => return other.value_type(),
            }
        }
    }
}
