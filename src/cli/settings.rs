//! The flags of the server, one for each setting of the table in [`crate::config`].

use std::{path::PathBuf, sync::LazyLock};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::config::{Flags, SETTINGS, Setting};

/// What the flags say.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags(pub Flags);

/// The names of the flags, in the order of the settings.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| SETTINGS.iter().map(Setting::flag).collect());

fn argument(setting: &'static Setting, name: &'static str) -> Arg {
    let default = match setting.default {
        "" => "unset",
        default => default,
    };
    let (help, variable) = (setting.help, setting.variable());
    Arg::new(setting.key)
        .long(name)
        .alias(setting.key)
        .value_name("VALUE")
        .help(format!("{help} [env: {variable}] [default: {default}]"))
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("TOML file with settings [env: BELLWETHER_CONFIG]");
        let settings = SETTINGS.iter().zip(NAMES.iter());
        let settings = settings.map(|(setting, name)| argument(setting, name));
        command.arg(config).args(settings)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(config) = matches.get_one::<PathBuf>("config") {
            self.0.config = Some(config.clone());
        }
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.0.set(setting, value.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_a_flag_with_dashes_or_underscores() {
        for setting in SETTINGS {
            for name in [setting.flag(), setting.key.to_owned()] {
                let command = SettingFlags::augment_args(Command::new("serve"));
                let arguments = ["serve".to_owned(), format!("--{name}"), "7".to_owned()];
                let matches = command.try_get_matches_from(arguments).unwrap();
                let read = SettingFlags::from_arg_matches(&matches).unwrap();
                let mut expected = Flags::default();
                expected.set(setting, "7".to_owned());
                assert_eq!(read.0, expected, "{name}");
            }
        }
    }
}
