//! A device's part of a snapshot: model, version and state.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The saved state of one device, of which every field must be there (an `Option` too: `deserialize_with =
/// "Option::deserialize"`). Serialises to an object `{model, version, state}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The device's model name, so that a state never lands in another chip.
    model: String,
    /// Version of the layout of `state`; `None` where a foreign file lacks it.
    version: Option<u32>,
    /// The device's own state.
    state: Value,
}

/// Makes a state of the next version from one of an older version.
pub type Convert = fn(Value) -> Result<Value, String>;

/// How the states of a model are written, and which older ones are understood.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The device's model name.
    pub model: &'static str,
    /// Version of the layout; raised when it changes.
    pub version: u32,
    /// Older versions, ascending, each with what makes the next one of the list, or the present one, of it.
    pub older: &'static [(u32, Convert)],
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
    #[error("saved state of `{model}` has version {found}; this build reads up to version {supported}")]
    Version {
        /// The model.
        model: &'static str,
        /// The version of the state.
        found: u32,
        /// The version this build writes.
        supported: u32,
    },
    /// An older state that has no equal in the present layout.
    #[error("saved state of `{model}` in version {version} cannot be taken over: {reason}")]
    Older {
        /// The model.
        model: &'static str,
        /// The version that could not be converted.
        version: u32,
        /// What stands in the way.
        reason: String,
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

impl Format {
    /// The first version of a model's states.
    pub const fn first(model: &'static str) -> Format {
        Format {
            model,
            version: 1,
            older: &[],
        }
    }

    /// The refusal of a state with a value that cannot be.
    pub fn impossible(&self, reason: String) -> LoadError {
        LoadError::Impossible {
            model: self.model,
            reason,
        }
    }

    /// `state` in the present version.
    fn present(&self, version: u32, mut state: Value) -> Result<Value, LoadError> {
        let model = self.model;
        if version == self.version {
            return Ok(state);
        }
        let first = self.older.iter().position(|&(older, _)| older == version);
        let steps = first
            .and_then(|first| self.older.get(first..))
            .ok_or(LoadError::Version {
                model,
                found: version,
                supported: self.version,
            })?;
        for &(version, convert) in steps {
            state = convert(state).map_err(|reason| LoadError::Older { model, version, reason })?;
        }
        Ok(state)
    }
}

impl Saved {
    /// Wraps a device's `state`.
    pub fn new(format: &Format, state: &impl Serialize) -> Saved {
        // Serialising plain data to a `Value` fails only on maps with non-string keys. A state that has one becomes
        // `Null`, which the device's own save-and-load test refuses.
        let state = serde_json::to_value(state).unwrap_or(Value::Null);
        Saved {
            model: format.model.to_owned(),
            version: Some(format.version),
            state,
        }
    }

    /// The model that saved it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Unwraps the state, converted if it is an older one.
    ///
    /// # Errors
    /// [`LoadError`] where model, version or shape differ from what is asked.
    pub fn state<S: DeserializeOwned>(&self, format: &Format) -> Result<S, LoadError> {
        let model = format.model;
        if self.model != model {
            return Err(LoadError::Model {
                expected: model,
                found: self.model.clone(),
            });
        }
        let version = self.version.ok_or(LoadError::NoVersion { model })?;
        let malformed = |source| LoadError::Malformed { model, source };
        if version == format.version {
            return S::deserialize(&self.state).map_err(malformed);
        }
        let state = format.present(version, self.state.clone())?;
        serde_json::from_value(state).map_err(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 3 is a number of bytes; 2 counted words, 1 was text.
    const CHIP: Format = Format {
        model: "chip",
        version: 3,
        older: &[
            (1, |state| {
                let text = state.as_str().ok_or("not text")?;
                text.parse()
                    .map(|words: u32| words.into())
                    .map_err(|_| "no number".to_owned())
            }),
            (2, |state| {
                let bytes = state.as_u64().and_then(|words| words.checked_mul(4));
                bytes.map(Value::from).ok_or("no number of words".to_owned())
            }),
        ],
    };

    fn parse(text: &str) -> Result<u32, LoadError> {
        serde_json::from_str::<Saved>(text).unwrap().state(&CHIP)
    }

    #[test]
    fn state_comes_back() {
        let saved = Saved::new(&CHIP, &7u32);

        let text = serde_json::to_string(&saved).unwrap();

        assert_eq!((saved.model(), parse(&text).unwrap()), ("chip", 7));
    }

    #[test]
    fn an_older_state_is_converted_step_by_step() {
        assert_eq!(parse(r#"{"model":"chip","version":2,"state":5}"#).unwrap(), 20);
        assert_eq!(parse(r#"{"model":"chip","version":1,"state":"5"}"#).unwrap(), 20);
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
        for unknown in [0, 4] {
            let text = format!(r#"{{"model":"chip","version":{unknown},"state":7}}"#);
            assert!(matches!(
                parse(&text),
                Err(LoadError::Version { found, supported: 3, .. }) if found == unknown
            ));
        }
        assert!(matches!(
            parse(r#"{"model":"chip","version":1,"state":7}"#),
            Err(LoadError::Older { version: 1, .. })
        ));
        assert!(matches!(
            parse(r#"{"model":"chip","version":3,"state":"a"}"#),
            Err(LoadError::Malformed { .. })
        ));
    }
}
