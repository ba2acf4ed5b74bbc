//! What each configured source is there for: whoever tells of calls says in which role.

use crate::calls::{Role, Speaker, Witness};

/// The roles of all sources.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    signalling: Role,
    places: Vec<Role>,
}

impl Roles {
    /// From the sources in the order of the configuration: whether one is signalling, and its role. All signalling is
    /// followed together, so it meters if any of it does.
    pub fn new(sources: impl IntoIterator<Item = (bool, Role)>) -> Self {
        let mut roles = Self::default();
        let mut signalling: Option<Role> = None;
        for (is_signalling, role) in sources {
            roles.places.push(role);
            if is_signalling {
                signalling = Some(signalling.map_or(role, |known| known.min(role)));
            }
        }
        roles.signalling = signalling.unwrap_or_default();
        roles
    }

    /// Signalling, also of recordings.
    #[must_use]
    pub const fn signalling(&self) -> Speaker {
        Speaker { role: self.signalling, witness: Witness::Signalling }
    }

    /// The source with this number; one that is not configured meters.
    #[must_use]
    pub fn of(&self, place: usize, witness: Witness) -> Speaker {
        Speaker { role: self.places.get(place).copied().unwrap_or_default(), witness }
    }
}
