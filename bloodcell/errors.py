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
    ├── CaseError
    │   ├── CaseNotFoundError       no such case, or it was deleted meanwhile
    │   ├── CaseExistsError         the identifier belongs to another case
    │   ├── CaseLockedError         the case is signed
    │   ├── CaseChangedError        another reviewer was first
    │   ├── CaseUnfinishedError     a sign-off while a cell is unreviewed or undecided
    │   └── CaseDatabaseError       the database of cases cannot be opened or used
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


class NoLocksError(BloodCellError):
    """This system keeps no file locks that a killed process gives up."""


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


class CaseError(BloodCellError):
    """A case cannot be read or changed as asked."""


class CaseNotFoundError(CaseError):
    """No such case, or it was deleted meanwhile."""


class CaseExistsError(CaseError):
    """The identifier belongs to another case."""


class CaseLockedError(CaseError):
    """The case is signed; it must be reopened before it can change."""


class CaseChangedError(CaseError):
    """Another reviewer changed the same cell first."""


class CaseUnfinishedError(CaseError):
    """A sign-off while a cell is unreviewed or undecided."""


class CaseDatabaseError(CaseError):
    """The database of cases cannot be opened or used."""


class StorageError(BloodCellError):
    """A full disk, or a folder that cannot be written."""
