//! The Lua scripts and how they are called: by their hash, and whole when Redis does not
//! know them (any more). Each documents its KEYS and ARGV at its start.

use std::sync::LazyLock;

use redis::{Arg, Cmd};

/// A script that Redis runs as one step.
pub struct Script {
    source: &'static str,
    hash: String,
}

macro_rules! scripts {
    ($($(#[$documentation:meta])* $name:ident = $file:literal;)*) => {
        $(
            $(#[$documentation])*
            pub static $name: LazyLock<Script> =
                LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file))));
        )*
        #[cfg(test)]
        const SOURCES: &[&str] = &[$(include_str!(concat!("scripts/", $file)),)*];
    };
}

scripts! {
    /// Writes records with their ranks.
    COMMIT = "commit.lua";
    /// Reads entries of a rank.
    PAGE = "page.lua";
    /// Counts entries of ranks.
    COUNT = "count.lua";
    /// Adds records to ranks.
    INDEX = "index.lua";
    /// Raises the fence of a partition.
    FENCE = "fence.lua";
    /// Replaces a rollout.
    ROLLOUT = "rollout.lua";
    /// Makes a model the latest of a scope.
    PUBLISH = "publish.lua";
    /// Keeps a model.
    SAVE = "save.lua";
    /// Deletes models.
    FORGET = "forget.lua";
    /// Makes a tenant known.
    TENANT = "tenant.lua";
    /// Takes or keeps a right.
    LEASE = "lease.lua";
    /// Makes a server known.
    ANNOUNCE = "announce.lua";
    /// Counts the servers that are known to serve.
    SERVERS = "servers.lua";
    /// Keeps the key of page tokens.
    TOKEN_KEY = "token_key.lua";
    /// Adds an audit entry.
    ADD_AUDIT_ENTRY = "add_audit_entry.lua";
    /// Is refused as a write would be.
    WRITABLE = "writable.lua";
    /// Marks a database as Bellwether's.
    MARK = "mark.lua";
    /// Reads records to be copied.
    COPY = "copy.lua";
    /// Writes copies.
    FILL = "fill.lua";
    /// Notes what is copied.
    COPIED = "copied.lua";
    /// Has a partition of copies take commits.
    COMPLETE = "complete.lua";
    /// Deletes keys of a partition that nobody needs.
    DISCARD = "discard.lua";
}

impl Script {
    fn new(source: &'static str) -> Self {
        let hash = redis::Script::new(source).get_hash().to_owned();
        Self { source, hash }
    }

    /// The start of a call with `keys` keys, which must follow; the capacity is that of all
    /// keys and arguments together.
    pub fn call(&self, keys: usize, arguments: usize, bytes: usize) -> Cmd {
        let mut command = Cmd::with_capacity(3 + keys + arguments, 64 + bytes);
        command.arg("EVALSHA").arg(&self.hash).arg(keys);
        command
    }

    /// The same call with the whole script, which Redis then knows again.
    pub fn whole(&self, call: &Cmd) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.source);
        for argument in call.args_iter().skip(2) {
            if let Arg::Simple(argument) = argument {
                command.arg(argument);
            }
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_says_what_it_is_given_and_declares_its_keys() {
        for source in SOURCES {
            assert!(source.starts_with("#!lua"), "{source}");
            for word in ["-- KEYS  ", "-- ARGV  ", "-- Returns "] {
                assert!(source.contains(word), "{word} is missing: {source}");
            }
        }
    }

    #[test]
    fn the_whole_call_carries_the_same_keys_and_arguments() {
        let mut call = PAGE.call(1, 2, 0);
        call.arg("key").arg("").arg(&[0_u8, 255][..]);
        let arguments = |command: &Cmd| -> Vec<Vec<u8>> {
            let simple = command.args_iter().map(|argument| match argument {
                Arg::Simple(bytes) => bytes.to_vec(),
                Arg::Cursor => panic!("no cursor"),
                _ => panic!("no other argument"),
            });
            simple.collect()
        };
        let whole = PAGE.whole(&call);
        assert_eq!(arguments(&whole)[0], b"EVAL");
        assert_eq!(arguments(&whole)[1], PAGE.source.as_bytes());
        assert_eq!(arguments(&whole)[2..], arguments(&call)[2..]);
    }
}
