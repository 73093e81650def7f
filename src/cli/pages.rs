//! As many entries as a person asks for, from as many pages as it takes.

use super::failure::Failure;

/// Entries of a page; the most that a server gives.
const MAX_PAGE_SIZE: usize = 1000;

/// A response that may have a next page.
pub(super) trait Page {
    /// Entries of this page.
    fn len(&self) -> usize;

    /// Asks for the next page; empty on the last one.
    fn next_page_token(&self) -> &str;

    /// Adds the page that follows.
    fn append(&mut self, next: Self);

    /// Drops the entries beyond the first `limit`.
    fn truncate(&mut self, limit: usize);
}

/// Asks for pages of a size and from a token until there are `limit` entries or no more.
pub(super) async fn collect<P: Page>(
    limit: usize,
    ask: impl AsyncFn(i32, String) -> Result<P, Failure>,
) -> Result<P, Failure> {
    let size = |wanted: usize| wanted.clamp(1, MAX_PAGE_SIZE) as i32;
    let mut all = ask(size(limit), String::new()).await?;
    // A filtered page may be empty while more follow, so only the token says the end.
    while all.len() < limit && !all.next_page_token().is_empty() {
        let token = all.next_page_token().to_owned();
        all.append(ask(size(limit), token).await?);
    }
    all.truncate(limit);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    struct Numbers(Vec<usize>, String);

    impl Page for Numbers {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn next_page_token(&self) -> &str {
            &self.1
        }

        fn append(&mut self, next: Self) {
            self.0.extend(next.0);
            self.1 = next.1;
        }

        fn truncate(&mut self, limit: usize) {
            self.0.truncate(limit);
        }
    }

    #[tokio::test]
    async fn pages_are_merged_up_to_the_limit_and_empty_ones_passed_over() {
        let asked = RefCell::new(Vec::new());
        let pages = async |size: i32, token: String| {
            asked.borrow_mut().push((size, token.clone()));
            Ok(match token.as_str() {
                "" => Numbers(vec![1, 2], "b".to_owned()),
                "b" => Numbers(vec![], "c".to_owned()),
                "c" => Numbers(vec![3], String::new()),
                _ => Numbers(vec![], String::new()),
            })
        };
        let all = collect(5000, pages).await.unwrap();
        assert_eq!(all.0, [1, 2, 3]);
        let tokens: Vec<_> = asked
            .borrow()
            .iter()
            .map(|(size, token)| (*size, token.clone()))
            .collect();
        assert_eq!(
            tokens,
            [
                (1000, String::new()),
                (1000, "b".to_owned()),
                (1000, "c".to_owned())
            ]
        );
    }
}
