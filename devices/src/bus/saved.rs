//! A device's part of a snapshot: model, version and state.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The saved state of one device. Serialises to an object `{model, version, state}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The device's model name, so that a state never lands in another chip.
    model: String,
    /// Version of the layout of `state`; `None` where a foreign file lacks it.
    version: Option<u32>,
    /// The device's own state.
    state: Value,
}

/// Why a saved state was refused. The device keeps the state it had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The state belongs to another model.
    #[error("saved state is of a `{found}`, not of a `{expected}`")]
    Model {
        /// The model that was asked to load it.
        expected: &'static str,
        /// The model that had saved it.
        found: String,
    },
    /// The state does not say which version it has.
    #[error("saved state of `{model}` has no version")]
    NoVersion {
        /// The model.
        model: &'static str,
    },
    /// A version this build does not know.
    #[error("saved state of `{model}` has version {found}; this build reads version {supported}")]
    Version {
        /// The model.
        model: &'static str,
        /// The version of the state.
        found: u32,
        /// The version this build reads.
        supported: u32,
    },
    /// The state does not have the shape its version asks for.
    #[error("saved state of `{model}` is malformed: {source}")]
    Malformed {
        /// The model.
        model: &'static str,
        /// What the deserialiser says.
        source: serde_json::Error,
    },
    /// The shape is right, a value is not possible for this device.
    #[error("saved state of `{model}` is not possible: {reason}")]
    Impossible {
        /// The model.
        model: &'static str,
        /// Which value, and why.
        reason: String,
    },
}

impl Saved {
    /// Wraps `state` of a device of this `model`, in layout `version`.
    pub fn new(model: &'static str, version: u32, state: &impl Serialize) -> Saved {
        // Serialising plain data to a `Value` fails only on maps with non-string keys. A state that has one becomes
        // `Null`, which the device's own save-and-load test refuses.
        let state = serde_json::to_value(state).unwrap_or(Value::Null);
        Saved {
            model: model.to_owned(),
            version: Some(version),
            state,
        }
    }

    /// The model that saved it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Unwraps the state.
    ///
    /// # Errors
    /// [`LoadError`] where model, version or shape differ from what is asked.
    pub fn state<S: DeserializeOwned>(&self, model: &'static str, version: u32) -> Result<S, LoadError> {
        if self.model != model {
            return Err(LoadError::Model {
                expected: model,
                found: self.model.clone(),
            });
        }
        match self.version {
            None => Err(LoadError::NoVersion { model }),
            Some(found) if found != version => Err(LoadError::Version {
                model,
                found,
                supported: version,
            }),
            Some(_) => S::deserialize(&self.state).map_err(|source| LoadError::Malformed { model, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u32, LoadError> {
        serde_json::from_str::<Saved>(text).unwrap().state("chip", 3)
    }

    #[test]
    fn state_comes_back() {
        let saved = Saved::new("chip", 3, &7u32);

        let text = serde_json::to_string(&saved).unwrap();

        assert_eq!(parse(&text).unwrap(), 7);
    }

    #[test]
    fn every_refusal_has_its_own_error() {
        assert!(matches!(
            parse(r#"{"model":"x","version":3,"state":7}"#),
            Err(LoadError::Model { .. })
        ));
        assert!(matches!(
            parse(r#"{"model":"chip","state":7}"#),
            Err(LoadError::NoVersion { .. })
        ));
        assert!(matches!(
            parse(r#"{"model":"chip","version":4,"state":7}"#),
            Err(LoadError::Version {
                found: 4,
                supported: 3,
                ..
            })
        ));
        assert!(matches!(
            parse(r#"{"model":"chip","version":3,"state":"a"}"#),
            Err(LoadError::Malformed { .. })
        ));
    }
}
