//! A certificate for a server of this machine, and the authority that vouches for it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

const INSTALL_OPENSSL: &str = "openssl is missing, and the tests of TLS make a certificate with it: \
    apt-get install openssl, or brew install openssl";
const KEY: [&str; 6] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-sha256",
];
const EXTENSIONS: &str =
    "basicConstraints = CA:FALSE\nsubjectAltName = IP:127.0.0.1, DNS:localhost\n";

/// Files in a directory of their own.
pub struct Certificate {
    directory: tempfile::TempDir,
}

impl Certificate {
    /// Makes an authority and a certificate for 127.0.0.1 and `localhost`.
    pub fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = Self { directory };
        fs::write(made.path("extensions"), EXTENSIONS).unwrap();
        let request = |more: &[&str]| {
            let arguments = [&["req"], &KEY[..], more].concat();
            openssl(made.directory.path(), &arguments);
        };
        request(&[
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=Authority of a test",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        request(&[
            "-subj",
            "/CN=localhost",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ]);
        openssl(
            made.directory.path(),
            &[
                "x509",
                "-req",
                "-days",
                "2",
                "-sha256",
                "-in",
                "server.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-extfile",
                "extensions",
                "-out",
                "server.pem",
            ],
        );
        made
    }

    /// The certificate of the authority, which a client needs.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub fn server(&self) -> PathBuf {
        self.path("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.path("server.key")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("{INSTALL_OPENSSL}"),
        Err(error) => panic!("openssl does not start: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
}
