//! Who may call, for which tenants, what they may do, and what they may see of the answers. Pure: the
//! instant is handed in, and so is what the file says.

mod denied;
mod file;
mod issuer;
mod issuer_entry;
mod key;
mod keys;
mod names;
mod permission;
mod principal;
mod quota;
mod role;
mod role_entry;
mod sight;
mod signature;
mod warnings;

pub use denied::Denied;
pub use file::{KeysError, files_named, read_keys, shipped_roles};
pub use issuer::{Issuer, TokenKeys, claimed_issuer, read_key_set};
pub use issuer_entry::NamedFile;
pub use key::{SECRET_BYTES, Secret, digest_of};
pub use keys::Keys;
pub use permission::{PERMISSIONS, Permission};
pub use principal::{Principal, Tenants};
pub use quota::{Quota, Quotas};
pub use role::{Names, Role, Sight};
pub use sight::{Hidden, Seen};
