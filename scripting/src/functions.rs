//! Libraries of functions: what they register, and who finds it.

use std::collections::{BTreeMap, HashMap};

use crate::shebang::Flags;
use crate::vm::{RegisteredFunction, Script};

/// What a library has registered so far, while it loads.
#[derive(Default)]
pub(crate) struct Registration {
    pub(crate) functions: Vec<NewFunction>,
}

/// A function that a library registers.
pub(crate) struct NewFunction {
    pub(crate) name: Vec<u8>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) flags: Flags,
    pub(crate) callback: mlua::Function,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its name, as written.
    pub name: Vec<u8>,
    /// Its code, with the first line.
    pub code: Vec<u8>,
    /// Its functions, in order of registration.
    pub functions: Vec<Function>,
}

/// A function of a library.
#[derive(Debug)]
pub struct Function {
    /// Its name, as written.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// What it may do.
    pub flags: Flags,
    /// The compiled function.
    pub script: Script,
}

/// All libraries.
#[derive(Debug, Default)]
pub struct Libraries {
    by_name: BTreeMap<Vec<u8>, Library>,
    /// Function → (library, index). Function names know no case.
    functions: HashMap<Vec<u8>, (Vec<u8>, usize)>,
}

/// Whether a name may name a library or a function.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// What is wrong with other names.
pub const BAD_NAME: &str =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

impl Libraries {
    /// Number of libraries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Number of functions.
    #[must_use]
    pub fn functions_len(&self) -> usize {
        self.functions.len()
    }

    /// Bytes of names, code and descriptions.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let of_function = |function: &Function| {
            size_of::<Function>() + function.name.len() + function.description.as_ref().map_or(0, Vec::len)
        };
        let of_library = |library: &Library| {
            let functions: usize = library.functions.iter().map(of_function).sum();
            size_of::<Library>() + library.name.len() + library.code.len() + functions
        };
        self.by_name.values().map(of_library).sum()
    }

    /// The libraries, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Library> {
        self.by_name.values()
    }

    /// The library of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Library> {
        self.by_name.get(name)
    }

    /// The function of this name.
    #[must_use]
    pub fn function(&self, name: &[u8]) -> Option<&Function> {
        let (library, index) = match self.functions.get(name) {
            Some(found) => found,
            None => self.functions.get(&name.to_ascii_lowercase())?,
        };
        self.by_name.get(library)?.functions.get(*index)
    }

    /// The name of the library that has the function of this name, given in lower case.
    #[must_use]
    pub fn library_of(&self, function: &[u8]) -> Option<&[u8]> {
        self.functions.get(function).map(|(library, _)| &library[..])
    }

    /// All libraries, by value.
    pub fn into_libraries(self) -> impl Iterator<Item = Library> {
        self.by_name.into_values()
    }

    /// Adds a library. Returns the one of the same name that it replaces.
    pub fn insert(&mut self, name: Vec<u8>, code: Vec<u8>, functions: Vec<RegisteredFunction>) -> Option<Library> {
        let before = self.remove(&name);
        for (index, function) in functions.iter().enumerate() {
            self.functions.insert(function.name.to_ascii_lowercase(), (name.clone(), index));
        }
        let functions = functions
            .into_iter()
            .map(|RegisteredFunction { name, description, flags, script }| Function {
                name,
                description,
                flags,
                script,
            })
            .collect();
        self.by_name.insert(name.clone(), Library { name, code, functions });
        before
    }

    /// Takes a library out.
    pub fn remove(&mut self, name: &[u8]) -> Option<Library> {
        let library = self.by_name.remove(name)?;
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        Some(library)
    }
}
