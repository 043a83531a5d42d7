//! Where the files of a source are: in the folder that the user names, else in the data folders.

use std::path::{Path, PathBuf};

use super::error::DataError;
use super::source::{Part, Source, SourceBytes, SourceFile};
use super::{fetch, gtsrb, pictures};

/// Where files are looked for.
#[derive(Clone, Debug, Default)]
pub struct DataRoots {
    /// The folder that relative paths of a spec start from.
    pub spec: PathBuf,
    /// Folders that hold data sets, in the order they are searched.
    pub data: Vec<PathBuf>,
}

/// A file that must be found.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its logical name.
    pub(super) name: &'static str,
    /// The names it may have in a folder.
    pub(super) candidates: Vec<String>,
    /// Its bytes, where they are part of the program.
    pub(super) embedded: Option<&'static [u8]>,
}

impl Source {
    /// Finds the files of `part` of a published set; `path` is the folder that the user named, or the file itself where
    /// the set is a single one.
    pub(super) fn find(
        &self,
        part: Part,
        path: Option<&Path>,
        roots: &DataRoots,
    ) -> Result<Vec<SourceFile>, DataError> {
        let folders = self.folders(path, roots);
        if let Self::Gtsrb(_) = self {
            let bytes = SourceBytes::Files(gtsrb::find(part, &folders)?.into());
            return Ok(vec![SourceFile { name: gtsrb::name(part).to_owned(), bytes }]);
        }
        self.wanted(part).into_iter().map(|wanted| self.find_one(&wanted, path, &folders, roots)).collect()
    }

    /// Folders that may hold the set: the named one, else a folder of its name in each root (or of the name that the
    /// publishers or torchvision give it).
    fn folders(&self, path: Option<&Path>, roots: &DataRoots) -> Vec<PathBuf> {
        let elsewhere = match self {
            Self::Mnist => Some("MNIST/raw"),
            Self::FashionMnist => Some("FashionMNIST/raw"),
            Self::Cifar(which) => Some(which.folder()),
            Self::Gtsrb(_) => Some("GTSRB"),
            _ => None,
        };
        let nested = elsewhere.map(|folder| format!("{}/{folder}", self.name()));
        let names = [Some(self.name()), elsewhere, nested.as_deref()];
        let inside = |root: &Path| names.iter().flatten().map(|name| root.join(name)).collect::<Vec<_>>();
        match path {
            Some(path) => {
                let named = roots.spec.join(path);
                let mut folders = inside(&named);
                folders.insert(0, named);
                folders
            }
            None => roots.data.iter().flat_map(|root| inside(root)).collect(),
        }
    }

    fn find_one(
        &self,
        wanted: &Wanted,
        path: Option<&Path>,
        folders: &[PathBuf],
        roots: &DataRoots,
    ) -> Result<SourceFile, DataError> {
        let found = |bytes| Ok(SourceFile { name: wanted.name.to_owned(), bytes });
        if let Some(bytes) = wanted.embedded {
            return found(SourceBytes::Embedded(bytes));
        }
        if let (Self::Boston, Some(file)) = (self, path.map(|path| roots.spec.join(path)).filter(|path| path.is_file()))
        {
            return found(SourceBytes::File(file));
        }
        let tried = folders.iter().flat_map(|folder| wanted.candidates.iter().map(|name| folder.join(name)));
        if let Some(file) = tried.clone().find(|file| file.is_file()) {
            return found(SourceBytes::File(file));
        }
        let name = self.name();
        let get = if fetch::set(name).is_some() {
            format!("run `duress data fetch {name}`, or write `path = \"...\"` with the folder that holds it")
        } else {
            "write `path = \"...\"` with the file".to_owned()
        };
        Err(DataError::Missing { data: name.into(), file: wanted.name.into(), looked: tried.collect(), fix: get })
    }
}

/// Finds a folder of the user's pictures, as [`find_own`] finds a file.
pub(super) fn find_own_folder(data: &str, name: &str, path: &Path, roots: &DataRoots) -> Result<SourceFile, DataError> {
    let tried: Vec<PathBuf> = std::iter::once(&roots.spec).chain(&roots.data).map(|root| root.join(path)).collect();
    let Some(folder) = tried.iter().find(|path| path.is_dir()) else {
        return Err(DataError::Missing {
            data: data.to_owned(),
            file: name.to_owned(),
            looked: tried,
            fix: "correct the path of the folder, which starts from the folder of the spec".to_owned(),
        });
    };
    Ok(SourceFile { name: name.to_owned(), bytes: SourceBytes::Files(pictures::list(name, folder)?.into()) })
}

/// Finds a file of the user's: at `path` from the spec's folder, else in one of the data folders.
pub(super) fn find_own(data: &str, name: &str, path: &Path, roots: &DataRoots) -> Result<SourceFile, DataError> {
    let tried: Vec<PathBuf> = std::iter::once(&roots.spec).chain(&roots.data).map(|root| root.join(path)).fold(
        Vec::new(),
        |mut list, path| {
            if !list.contains(&path) {
                list.push(path);
            }
            list
        },
    );
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => Ok(SourceFile { name: name.to_owned(), bytes: SourceBytes::File(path.clone()) }),
        None => Err(DataError::Missing {
            data: data.to_owned(),
            file: name.to_owned(),
            looked: tried,
            fix: "correct the path, which starts from the folder of the spec".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_says_where_it_was_looked_for_and_how_to_get_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let roots = DataRoots { spec: folder.path().into(), data: vec![folder.path().join("a")] };
        let error = Source::Mnist.find(Part::Train, None, &roots).expect_err("nothing there").to_string();
        assert!(error.starts_with("find the file `train-images` of mnist: looked for "), "{error}");
        assert!(error.contains("a/mnist/train-images-idx3-ubyte.gz"), "{error}");
        assert!(error.contains("run `duress data fetch mnist`"), "{error}");
        let error = Source::Boston.find(Part::Train, None, &roots).expect_err("nothing there").to_string();
        assert!(!error.contains("fetch"), "{error}");
    }

    #[test]
    fn files_are_found_in_a_named_folder_and_in_the_roots_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(&path, b"x").expect("written");
            path
        };
        let named = put("named/t10k-images.idx3-ubyte");
        put("named/t10k-labels-idx1-ubyte");
        let torch = put("second/MNIST/raw/t10k-images-idx3-ubyte.gz");
        put("second/MNIST/raw/t10k-labels-idx1-ubyte.gz");
        let data = ["first", "second"].map(|name| folder.path().join(name)).to_vec();
        let roots = DataRoots { spec: folder.path().into(), data };
        let first = |path: Option<&str>| {
            Source::Mnist.find(Part::Test, path.map(Path::new), &roots).expect("found").remove(0).bytes
        };
        assert_eq!(first(Some("named")), SourceBytes::File(named));
        assert_eq!(first(None), SourceBytes::File(torch));
    }
}
