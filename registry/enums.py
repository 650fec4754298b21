"""Enumerations and constants that the schema, the core and the command line share.

Of the standard library alone, so that the command line starts without the core.
"""

from enum import StrEnum

FEATURE_DIMENSIONS = 1 << 24
"""Length of a model's sparse feature vector: feature names are hashed into it."""


class ModelState(StrEnum):
    """State of a model on the Hub; a stub is known only by name."""

    AVAILABLE = "available"
    GATED = "gated"
    PRIVATE = "private"
    DISABLED = "disabled"
    GONE = "gone"
    STUB = "stub"


class LicenseClass(StrEnum):
    """What a licence asks of who uses a model, as `registry.license_class` gives it."""

    PERMISSIVE = "permissive"
    WEAK_COPYLEFT = "weak copyleft"
    COPYLEFT = "copyleft"
    NON_COMMERCIAL = "non-commercial"
    CUSTOM = "custom"
    UNKNOWN = "unknown"


class Relation(StrEnum):
    """How a model was made from its parent."""

    FINETUNE = "finetune"
    ADAPTER = "adapter"
    MERGE = "merge"
    QUANTIZED = "quantized"
    BASE_UNKNOWN = "base_unknown"


class EdgeSource(StrEnum):
    """Part of a Hub record that states a parent."""

    TAG = "tag"
    CARD = "card"
    MERGE_CONFIG = "merge_config"


class LineageProblem(StrEnum):
    """Inconsistency in stated lineage, as in view `registry.lineage_problems`."""

    SELF_EDGE = "self_edge"
    CYCLE = "cycle"
    MISSING_PARENT = "missing_parent"
    GONE_PARENT = "gone_parent"
    LICENSE_DRIFT = "license_drift"


class EvaluationProblem(StrEnum):
    """What looks wrong in evaluations, as in view `registry.evaluation_problems`."""

    CONFLICT = "conflict"
    MEAN = "mean"
    SENTINEL = "sentinel"
    MIXED_SCALE = "mixed_scale"
    SAME_OUTCOMES = "same_outcomes"
    DUPLICATED_ITEMS = "duplicated_items"
    SATURATED_ITEMS = "saturated_items"
    CONSTANT_ITEMS = "constant_items"


class AliasSource(StrEnum):
    """Evidence that two names are of one model."""

    RENAME = "rename"
    CASE = "case"
    CARD = "card"
    USER = "user"
    EVALUATION = "evaluation"


class NameMethod(StrEnum):
    """How a model name in an evaluation was resolved."""

    EXACT = "exact"
    ALIAS = "alias"
    CASE = "case"
    HARNESS = "harness"
    TAIL = "tail"
    USER = "user"
    UNRESOLVED = "unresolved"


class OfferMethod(StrEnum):
    """How the name of a priced model was resolved.

    As a name in an evaluation is (exact, alias, case); by what is left without what providers add
    to names (spelling); or to the model of that name of the maker whom the name means (maker).
    """

    EXACT = "exact"
    ALIAS = "alias"
    CASE = "case"
    SPELLING = "spelling"
    MAKER = "maker"


class AnalysisKind(StrEnum):
    """What a stored analysis of scores or outcomes computes."""

    ANOVA = "anova"
    TUKEY = "tukey"
    CORRELATE = "correlate"
    GAM = "gam"
    MIXED = "mixed"
    MAP = "map"
    FACTORS = "factors"
    SCALING = "scaling"
    SATURATION = "saturation"
    PREFERENCES = "preferences"


class ScalingAxis(StrEnum):
    """What scores are a curve of."""

    SIZE = "size"
    TOKENS = "tokens"
    COMPUTE = "compute"


class MixedSubject(StrEnum):
    """Fixed effect of a mixed model of scores."""

    GROUPS = "groups"
    TIME = "time"
    PARENTS = "parents"
    NONE = "none"


class Period(StrEnum):
    """Periods of models whose scores are compared over time."""

    YEAR = "year"
    QUARTER = "quarter"


class MapLayout(StrEnum):
    """How models are laid out on a plane by their scores."""

    TSNE = "tsne"
    UMAP = "umap"


class Grouping(StrEnum):
    """What analyses group models by; see `registry.analysis.statistics.groupings`."""

    SIZE = "size"
    TYPE = "type"
    ARCHITECTURE = "architecture"
    PRECISION = "precision"
    LICENSE = "license"
    LICENSE_CLASS = "license-class"
    FAMILY = "family"
    SERIES = "series"
    RELATION = "relation"
    MERGED = "merged"
    YEAR = "year"
    QUARTER = "quarter"
    AUTHOR = "author"


class SearchOrder(StrEnum):
    """Order of the models that a search returns."""

    RELEVANCE = "relevance"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    TRENDING = "trending"
    CREATED = "created"
    MODIFIED = "modified"
    NAME = "name"


class SyncKind(StrEnum):
    """Part of the Hub's listing that a sync reads: what changed, or all of it."""

    DELTA = "delta"
    FULL = "full"


class JobStatus(StrEnum):
    """Status of a job's run."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class ImportFormat(StrEnum):
    """Built-in format of evaluation files to import; installed packages may add others."""

    REGISTRY = "registry"
    LM_EVAL = "lm-eval"
    EVERY_EVAL_EVER = "every-eval-ever"
    HUB = "hub"
    INSPECT = "inspect"
    LIGHTEVAL = "lighteval"
    HELM = "helm"
    LLMROUTERBENCH = "llmrouterbench"
    BENCHPRESS = "benchpress"
    ROUTEREVAL = "routereval"
    TABLE = "table"


class PriceFormat(StrEnum):
    """Format of a file of prices."""

    LITELLM = "litellm"
    MODELS_DEV = "models.dev"
    GENAI_PRICES = "genai-prices"
    EVENTS = "events"


class PriceChange(StrEnum):
    """Kind of a change of an offer's price, as in view `registry.price_changes`."""

    CHEAPER = "cheaper"
    DEARER = "dearer"
    BOTH = "both"
    OTHER_CURRENCY = "other currency"
    NEW = "new"
    GONE = "gone"


class ExportFormat(StrEnum):
    """Format of exported evaluations."""

    PARQUET = "parquet"
    CSV = "csv"
    LONG = "long"
    LM_EVAL = "lm-eval"
    HUB = "hub"
    EVERY_EVAL_EVER = "every-eval-ever"


class VectorFormat(StrEnum):
    """Format of exported embeddings, and the suffix of its files.

    Parquet is a table of model, kind, uncertainty and vector; safetensors has tensors `vectors` and
    `uncertainty`, and the models' names in its metadata.
    """

    PARQUET = "parquet"
    SAFETENSORS = "safetensors"


class VersionState(StrEnum):
    """State of a version of embeddings."""

    CANDIDATE = "candidate"
    CURRENT = "current"
    RETIRED = "retired"
    REFUSED = "refused"


class VectorKind(StrEnum):
    """Origin of a model's vector: training, fold-in of outcomes, or prediction from the catalog."""

    TRAINED = "trained"
    FOLDED = "folded"
    COLD = "cold"


class PredictionState(StrEnum):
    """State of a version of predicted scores."""

    CURRENT = "current"
    RETIRED = "retired"


class EvidenceKind(StrEnum):
    """Evidence of a model's predicted scores: outcomes, scores on other benchmarks, or neither.

    Without either, a prediction rests on what the catalog says: lineage and metadata.
    """

    OUTCOMES = "outcomes"
    SCORES = "scores"
    CATALOG = "catalog"


class MethodName(StrEnum):
    """Method of learning from outcomes; blend chooses and combines the others."""

    BLEND = "blend"
    IRT = "irt"
    RASCH = "rasch"
    MF = "mf"
    MF_TEXT = "mf-text"
    TEXT_REGRESSION = "text-regression"
    KNN = "knn"
    WEIGHTED_KNN = "weighted-knn"
    ITEM_MEAN = "item-mean"
    MODEL_MEAN = "model-mean"


VECTOR_METHODS = (MethodName.IRT, MethodName.RASCH, MethodName.MF, MethodName.MF_TEXT)
"""Methods that learn vectors of models; blend has them as well."""


class SplitKind(StrEnum):
    """What a comparison of methods holds out: cells, items, or whole groups of items."""

    CELL = "cell"
    ITEM = "item"
    BENCHMARK = "benchmark"
    DOMAIN = "domain"


class RoutingSplit(StrEnum):
    """What an evaluation of routers holds out: items of each subject, or whole groups of them."""

    ITEM = "item"
    SUBJECT = "subject"
    BENCHMARK = "benchmark"


class ReportPeriod(StrEnum):
    """Period of the rows of a report."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Metric(StrEnum):
    """Metric of predicted outcomes, as in `registry.learning.metrics`.

    Coverage is the share of models' mean outcomes on the held-out items of a benchmark that 90%
    intervals hold, of methods whose vectors have variances: see
    `registry.learning.calibrated_variances`.
    """

    ACCURACY = "accuracy"
    AUC = "auc"
    LOG_LOSS = "log_loss"
    RMSE = "rmse"
    RMSE_M = "rmse_m"
    RMSE_Q = "rmse_q"
    CALIBRATION_ERROR = "calibration_error"
    KENDALL_TAU = "kendall_tau"
    COVERAGE = "coverage"


class CommunityKind(StrEnum):
    """Property that the models of a community share."""

    SIZE = "size"
    FAMILY = "family"
    AUTHOR = "author"
    TASK = "task"
    TAG = "tag"
    TOPIC = "topic"
