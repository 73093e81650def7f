//! What an evaluation may take, and what an expression takes at most. A step is the reading of
//! one part of an expression; long texts and lists take more of them. So everything is bounded
//! by steps, the bytes that are made too.

use std::cell::Cell;

use super::{
    native_expr::{Change, Each, Loop, NativeExpr},
    native_value::NativeValue,
    scope::Failed,
    variable::Variable,
};
use crate::scoring::{
    AttributeValue,
    limits::{
        MADE_BYTES_PER_STEP, MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_VALUES, MAX_EVENT_STEPS,
        MAX_ID_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_TEXT_BYTES, READ_BYTES_PER_STEP,
    },
};

/// Bytes that an element of a list takes that is made.
const ELEMENT_BYTES: usize = size_of::<NativeValue<'static>>();

/// The steps that are left to the expressions that are evaluated for one event, or of the
/// clock-free conditions of one record.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
    is_spent: Cell<bool>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            left: Cell::new(MAX_EVENT_STEPS),
            is_spent: Cell::new(false),
        }
    }

    /// The steps that were taken.
    pub(crate) fn taken(&self) -> usize {
        MAX_EVENT_STEPS - self.left.get()
    }

    /// Whether an evaluation was cut off: all that follow are, too.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    /// Takes steps. Fails when there are not so many left.
    pub(super) fn step(&self, steps: usize) -> Result<(), Failed> {
        match self.left.get().checked_sub(steps) {
            Some(left) if !self.is_spent.get() => {
                self.left.set(left);
                Ok(())
            }
            _ => {
                self.is_spent.set(true);
                Err(Failed)
            }
        }
    }

    /// Looks through a text.
    pub(super) fn look_through(&self, bytes: usize) -> Result<(), Failed> {
        self.step(bytes / READ_BYTES_PER_STEP)
    }

    /// Makes a text.
    pub(super) fn make(&self, bytes: usize) -> Result<(), Failed> {
        self.step(bytes / MADE_BYTES_PER_STEP)
    }

    /// Makes elements of a list.
    pub(super) fn make_elements(&self, count: usize) -> Result<(), Failed> {
        self.make(count.saturating_mul(ELEMENT_BYTES))
    }
}

impl NativeValue<'_> {
    /// The steps that comparing it takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Timestamp(_)
            | Self::Duration(_) => 0,
            Self::Text(text) => text.len() / READ_BYTES_PER_STEP,
            Self::List(values) => values
                .iter()
                .map(|value| 1 + NativeValue::from(value).weight())
                .sum(),
            Self::Texts(texts) => texts
                .iter()
                .map(|text| 1 + NativeValue::text(text).weight())
                .sum(),
            Self::Made(values) => values.iter().map(|value| 1 + value.weight()).sum(),
            Self::Map(values) => {
                let values = values.values();
                values
                    .map(|value| 1 + NativeValue::from(value).weight())
                    .sum()
            }
        }
    }

    /// The bytes that a copy of it takes.
    pub(super) fn made_bytes(&self) -> usize {
        match self {
            Self::Text(std::borrow::Cow::Owned(text)) => text.len(),
            Self::Made(values) => values
                .iter()
                .map(|value| ELEMENT_BYTES + value.made_bytes())
                .sum(),
            _ => 0,
        }
    }
}

impl Variable {
    /// The steps that looking it up takes.
    pub(super) fn steps(&self) -> usize {
        match self {
            Self::Completeness(names) => names.len(),
            _ => 0,
        }
    }
}

/// How much there is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inputs {
    /// Next to nothing.
    Least,
    /// As much as is allowed, with so many declared topics.
    Greatest { topics: usize },
}

/// How large a value is at most.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Elements, those within elements counted.
    values: usize,
    /// Of all texts in it.
    bytes: usize,
}

impl Extent {
    const SCALAR: Self = Self {
        values: 1,
        bytes: 32,
    };

    fn text(bytes: usize) -> Self {
        Self { values: 1, bytes }
    }

    fn of_variable(variable: &Variable, inputs: Inputs) -> Self {
        let Inputs::Greatest { topics } = inputs else {
            return Self::SCALAR;
        };
        match variable {
            Variable::EventText => Self::text(MAX_TEXT_BYTES),
            Variable::EventTopics => Self {
                values: topics.max(1),
                bytes: topics.max(1).saturating_mul(MAX_TAG_BYTES),
            },
            Variable::EventTags => Self {
                values: MAX_TAGS,
                bytes: MAX_TAGS * MAX_TAG_BYTES,
            },
            Variable::EventAttributes
            | Variable::EventAttribute(_)
            | Variable::ProfileAttributes
            | Variable::ProfileAttribute(_)
            | Variable::AuthorAttributes
            | Variable::AuthorAttribute(_) => Self {
                values: MAX_ATTRIBUTE_VALUES,
                bytes: MAX_ATTRIBUTE_BYTES,
            },
            _ => Self::text(MAX_ID_BYTES),
        }
    }

    fn of_value(value: &AttributeValue) -> Self {
        let none = Self {
            values: 0,
            bytes: 0,
        };
        match value {
            AttributeValue::Null | AttributeValue::Bool(_) | AttributeValue::Number(_) => {
                Self::SCALAR
            }
            AttributeValue::String(text) => Self::text(text.len()),
            AttributeValue::List(values) => values.iter().map(Self::of_value).fold(none, Self::and),
            AttributeValue::Map(values) => {
                values.values().map(Self::of_value).fold(none, Self::and)
            }
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            values: self.values.saturating_add(other.values),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            values: self.values.max(other.values),
            bytes: self.bytes.max(other.bytes),
        }
    }

    fn times(self, count: usize) -> Self {
        Self {
            values: self.values.saturating_mul(count),
            bytes: self.bytes.saturating_mul(count),
        }
    }

    /// An element of it: all of them together are as large as it is, and what an expression takes
    /// grows with the size of what it reads.
    fn element(self) -> Self {
        Self {
            values: 1,
            bytes: self.bytes.div_ceil(self.values.max(1)),
        }
    }

    fn look_through(self) -> usize {
        self.bytes / READ_BYTES_PER_STEP
    }

    fn compare(self) -> usize {
        self.values.saturating_add(self.look_through())
    }

    fn make(self) -> usize {
        let elements = self.values.saturating_mul(ELEMENT_BYTES);
        self.bytes.saturating_add(elements) / MADE_BYTES_PER_STEP
    }
}

/// What a part of an expression takes at most.
#[derive(Clone, Copy, Debug)]
struct Bound {
    steps: usize,
    extent: Extent,
}

impl Bound {
    fn new(steps: usize, extent: Extent) -> Self {
        Self { steps, extent }
    }
}

fn sum(steps: &[usize]) -> usize {
    steps.iter().fold(1, |sum, more| sum.saturating_add(*more))
}

impl NativeExpr {
    /// The steps that an evaluation takes at most.
    pub(super) fn steps(&self, inputs: Inputs) -> usize {
        self.bound(inputs, Extent::SCALAR).steps
    }

    fn bound(&self, inputs: Inputs, element: Extent) -> Bound {
        let of = |part: &Self| part.bound(inputs, element);
        let scalar = |steps: &[usize]| Bound::new(sum(steps), Extent::SCALAR);
        match self {
            Self::Literal(value) => Bound::new(1, Extent::of_value(value)),
            Self::Variable(variable) => Bound::new(
                sum(&[variable.steps()]),
                Extent::of_variable(variable, inputs),
            ),
            Self::Element => Bound::new(sum(&[element.make()]), element),
            Self::List(elements) => {
                let none = Extent::text(0);
                let whole = elements
                    .iter()
                    .map(of)
                    .fold(Bound::new(1, none), |whole, part| {
                        Bound::new(
                            whole.steps.saturating_add(part.steps),
                            whole.extent.and(part.extent),
                        )
                    });
                let made = elements.len() * ELEMENT_BYTES / MADE_BYTES_PER_STEP;
                Bound::new(whole.steps.saturating_add(made), whole.extent)
            }
            Self::And(parts) | Self::Or(parts) => {
                let [a, b] = &**parts;
                scalar(&[of(a).steps, of(b).steps])
            }
            Self::Not(inner) | Self::HasField(inner, _) => scalar(&[of(inner).steps]),
            Self::If(parts) => {
                let [condition, a, b] = parts.each_ref().map(of);
                let steps = sum(&[condition.steps, a.steps.max(b.steps)]);
                Bound::new(steps, a.extent.or(b.extent))
            }
            Self::Compare(_, parts) => {
                let [a, b] = parts.each_ref().map(of);
                let compared = a.extent.compare().min(b.extent.compare());
                scalar(&[a.steps, b.steps, compared])
            }
            Self::IsAmong(parts) => {
                let [element, list] = parts.each_ref().map(of);
                scalar(&[element.steps, list.steps, list.extent.compare()])
            }
            Self::Test(_, parts) => {
                let [text, part] = parts.each_ref().map(of);
                scalar(&[text.steps, part.steps, text.extent.look_through()])
            }
            Self::Calculate(super::native_expr::Calculation::Add, parts) => {
                let [a, b] = parts.each_ref().map(of);
                let extent = a.extent.and(b.extent);
                Bound::new(sum(&[a.steps, b.steps, extent.make()]), extent)
            }
            Self::Calculate(_, parts) => {
                let [a, b] = parts.each_ref().map(of);
                scalar(&[a.steps, b.steps])
            }
            Self::Change(change, inner) => {
                let inner = of(inner);
                let read = inner.extent.look_through();
                match change {
                    Change::Lower | Change::Domain => {
                        let made = inner.extent.bytes / MADE_BYTES_PER_STEP;
                        Bound::new(sum(&[inner.steps, read, made]), inner.extent)
                    }
                    Change::Text => Bound::new(sum(&[inner.steps, read]), inner.extent),
                    _ => scalar(&[inner.steps, read]),
                }
            }
            Self::Field(map, _) => {
                let map = of(map);
                Bound::new(sum(&[map.steps]), map.extent)
            }
            Self::Index(parts) => {
                let [map, index] = parts.each_ref().map(of);
                Bound::new(sum(&[map.steps, index.steps]), map.extent)
            }
            Self::Get(parts) => {
                let [map, name, default] = parts.each_ref().map(of);
                let steps = sum(&[map.steps, name.steps, default.steps]);
                Bound::new(steps, map.extent.or(default.extent))
            }
            Self::Loop(inner) => inner.bound(inputs),
        }
    }
}

impl Loop {
    fn bound(&self, inputs: Inputs) -> Bound {
        // Loops do not stand within each other, so there is no element outside.
        let over = self.over.bound(inputs, Extent::SCALAR);
        let count = over.extent.values;
        let of = |part: &NativeExpr| part.bound(inputs, over.extent.element());
        let (steps, extent) = match &self.each {
            Each::Decides(_, condition) | Each::IsTheOne(condition) => {
                (sum(&[of(condition).steps]), Extent::SCALAR)
            }
            Each::Gives(condition, given) => {
                let given = of(given);
                let asked = condition
                    .as_ref()
                    .map_or(0, |condition| of(condition).steps);
                let made = ELEMENT_BYTES / MADE_BYTES_PER_STEP;
                let steps = sum(&[asked, given.steps, made]);
                (steps, given.extent.times(count))
            }
        };
        Bound::new(sum(&[over.steps, steps.saturating_mul(count)]), extent)
    }
}
