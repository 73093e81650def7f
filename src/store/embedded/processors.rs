//! Work on all processors at once, for what nobody can be answered before.

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

/// What `work` makes of each item, in the order of the items, which as many threads as there are
/// processors take in turns. After an error no further item is taken.
pub fn on_all_processors<I, T, E>(
    items: I,
    work: impl Fn(I::Item) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E>
where
    I: Iterator + Send,
    T: Send,
    E: Send,
{
    let waiting = Mutex::new(Some(items.enumerate()));
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().and_then(Iterator::next)
    };
    let stop = || *waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let take_turns = || {
        let mut done = Vec::new();
        while let Some((number, item)) = next() {
            done.push((number, work(item).inspect_err(|_| stop())?));
        }
        Ok(done)
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let parts = thread::scope(|scope| {
        let others: Vec<_> = (1..processors).map(|_| scope.spawn(take_turns)).collect();
        let own = take_turns();
        let others = others.into_iter().map(|other| {
            let other = other.join();
            other.unwrap_or_else(|panic| resume_unwind(panic))
        });
        others.chain([own]).collect::<Result<Vec<_>, E>>()
    })?;
    let mut done: Vec<_> = parts.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_items_is_in_their_order() {
        let squares = on_all_processors(0..1_000_u64, |number| Ok::<_, ()>(number * number));
        let expected: Vec<u64> = (0..1_000).map(|number| number * number).collect();
        assert_eq!(squares, Ok(expected));
    }

    #[test]
    fn nothing_more_is_taken_after_an_error() {
        let items = (0..).inspect(|number| assert!(*number < 1_000_000));
        let failed = on_all_processors(items, |number| match number {
            7 => Err("seven"),
            _ => Ok(number),
        });
        assert_eq!(failed, Err("seven"));
    }
}
