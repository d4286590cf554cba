"""Units of measure, as metadata files spell them: one number told in another unit of the same quantity."""

# (quantity, how many of the quantity's first unit one of these is): spellings
_SPELLINGS = {
    ("time", 1.0): "s sec secs second seconds",
    ("time", 1e-3): "ms msec msecs millisecond milliseconds",
    ("time", 1e-6): "us µs μs usec microsecond microseconds",
    ("time", 60.0): "min mins minute minutes",
    ("time", 3600.0): "h hr hrs hour hours",
    ("time", 86400.0): "d day days",
    ("time", 7 * 86400.0): "w wk wks week weeks",
    ("time", 365.25 * 86400.0 / 12): "mo mos month months",
    ("time", 365.25 * 86400.0): "y yr yrs year years a",
    ("length", 1.0): "m metre metres meter meters",
    ("length", 1e-2): "cm centimetre centimetres centimeter centimeters",
    ("length", 1e-3): "mm millimetre millimetres millimeter millimeters",
    ("length", 1e-6): "um µm μm micrometre micrometres micrometer micrometers micron microns",
    ("mass", 1.0): "kg kilogram kilograms",
    ("mass", 1e-3): "g gram grams",
    ("field", 1.0): "T tesla",
    ("field", 1e-3): "mT millitesla",
    ("angle", 1.0): "deg degs degree degrees °",
    ("angle", 57.29577951308232): "rad rads radian radians",
    ("frequency", 1.0): "Hz hertz",
    ("frequency", 1e3): "kHz kilohertz",
    ("frequency", 1e6): "MHz megahertz",
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}

# What BIDS, and with it dcm2niix, measures a key in, without regard to case, where a table's JSON does not say otherwise
_STANDARD = {
    "s": "repetitiontime repetitiontimeexcitation repetitiontimepreparation echotime echotime1 echotime2 inversiontime dwelltime"
    " effectiveechospacing totalreadouttime acquisitionduration postlabelingdelay labelingduration",
    "ms": "exposuretime",
    "deg": "flipangle labelingflipangle",
    "T": "magneticfieldstrength",
    "MHz": "imagingfrequency",
    "mm": "slicethickness spacingbetweenslices",
    "years": "age patientage",
    "kg": "patientweight",
    "m": "patientsize",
}
_STANDARD_OF = {key: unit for unit, keys in _STANDARD.items() for key in keys.split()}


def standard_unit(key: str) -> str:
    """Give the unit that the standard measures the folded ``key`` in; empty where it does not say."""
    return _STANDARD_OF.get(key, "")


def convert(number: float, source: str, target: str) -> float | None:
    """Tell ``number`` of the unit ``source`` in ``target``; None where that cannot be known.

    A unit that is not given at all (empty) is taken to be the other one.
    """
    source, target = _plain(source), _plain(target)
    if not source or not target or source == target:
        return number
    known, wanted = _UNITS.get(source), _UNITS.get(target)
    if known is None or wanted is None or known[0] != wanted[0]:
        return None
    if known == wanted:
        return number
    return float(f"{number * known[1] / wanted[1]:.12g}")  # 0.0034 s is 3.4 ms, not 3.4000000000000004


def _plain(unit: str) -> str:
    """A unit written out is the same in any case; a short one is not: mT and MT, S and s."""
    unit = unit.strip()
    return unit if len(unit) <= 2 or unit in _UNITS else unit.casefold()
