"""What a reader of the dashboard may meet.

    BloodCellError
    ├── DatasetError
    │   ├── DatasetNotFoundError    no file where the dataset is looked for
    │   ├── DatasetDamagedError     a file is there and is not the dataset
    │   └── DownloadError           no network, no space, or wrong bytes
    ├── ImageError                  a file that cannot be read as an image
    ├── ModelNotFoundError          a name that the catalog does not hold
    ├── RecipeNotFoundError         a recipe that the catalog does not hold
    ├── TrainingError               a training that cannot start or go on
    ├── ArtifactError
    │   ├── ArtifactNotFoundError   nothing trained under that name
    │   └── ArtifactDamagedError    files missing, altered or foreign
    ├── EngineError                 the LiteRT form cannot be built or run
    └── StorageError                a full disk or a folder that cannot be written

Pages and the command line catch `BloodCellError` only; anything else stays loud. Wrong arguments are `ValueError`.
Every message says what happened and where, what was expected, and how to repair it.
"""


class BloodCellError(Exception):
    """Base of every error that a reader may meet; its message is written for that reader."""


class DatasetError(BloodCellError):
    """The dataset cannot be used."""


class DatasetNotFoundError(DatasetError):
    """No file where the dataset is looked for."""


class DatasetDamagedError(DatasetError):
    """A file is there, and it is not the dataset."""


class DownloadError(DatasetError):
    """The dataset could not be fetched."""


class ImageError(BloodCellError):
    """A file that cannot be read as an image."""


class ModelNotFoundError(BloodCellError):
    """A name that the catalog does not hold."""


class RecipeNotFoundError(BloodCellError):
    """A recipe that does not exist."""


class TrainingError(BloodCellError):
    """A training that cannot start or go on."""


class ArtifactError(BloodCellError):
    """A trained model cannot be used."""


class ArtifactNotFoundError(ArtifactError):
    """Nothing trained under that name."""


class ArtifactDamagedError(ArtifactError):
    """Files of an artifact are missing, altered or foreign."""


class EngineError(BloodCellError):
    """The LiteRT form of a model cannot be built or run."""


class StorageError(BloodCellError):
    """A full disk, or a folder that cannot be written."""
