# Dates, as RFC 3339 wants them, of the forms in which Nix expressions have them.
#
#   1700000000              seconds since 1970, such as `self.lastModified` of a flake
#   "20231114221320"        such as `self.lastModifiedDate`
#   "2023-11-14T22:13:20Z"  as it is; without a time or a zone midnight and UTC
#   "now"                   where a function allows it: when the expression is evaluated, which is known to impure evaluation alone
let
  inherit (builtins) elemAt isInt isString match replaceStrings stringLength substring;

  calendar = "([0-9]{4})-([0-9]{2})-([0-9]{2})";
  clock = "([0-9]{2}):([0-9]{2}):([0-9]{2})([.][0-9]+)?";
  zone = "([Zz]|[+-][0-9]{2}:?[0-9]{2})?";
  compact = "([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})";
  isDate = v: isString v && (match "${calendar}([Tt ]${clock}${zone})?" v != null || match compact v != null);

  two = n: if n < 10 then "0${toString n}" else toString n;
  four = n: substring (stringLength (toString n)) 4 "0000" + toString n;
  # Without its zeros in front: JSON knows no 08.
  number = digits: let found = match "0*([0-9]+)" digits; in builtins.fromJSON (elemAt found 0);

  # Days since 1970-01-01 of the Gregorian calendar and back. The year is counted from March, so that the leap day is its last:
  # then month m begins (153 m + 2) / 5 days after it.
  daysOf = year: month: day:
    let
      y = if month > 2 then year else year - 1;
      m = if month > 2 then month - 3 else month + 9;
    in
    365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
  calendarOf = days:
    let
      shifted = days + 719468;
      era = shifted / 146097;
      dayOfEra = shifted - era * 146097;
      yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
      dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
      m = (5 * dayOfYear + 2) / 153;
      month = if m < 10 then m + 3 else m - 9;
    in
    { year = era * 400 + yearOfEra + (if month > 2 then 0 else 1); inherit month; day = dayOfYear - (153 * m + 2) / 5 + 1; };

  ofSeconds = seconds:
    let
      days = seconds / 86400;
      date = calendarOf days;
      rest = seconds - days * 86400;
    in
    "${four date.year}-${two date.month}-${two date.day}T${two (rest / 3600)}:${two (rest / 60 - rest / 3600 * 60)}:${two (rest - rest / 60 * 60)}Z";

  # RFC 3339 of a string that is a date
  ofString = text:
    let
      digits = match compact text;
      parts = match "(${calendar})([Tt ](${clock})${zone})?" text;
      part = elemAt parts;
      given = part 10;
      offset = replaceStrings [ ":" ] [ "" ] given;
    in
    if digits != null then
      let d = elemAt digits; in "${d 0}-${d 1}-${d 2}T${d 3}:${d 4}:${d 5}Z"
    else if part 4 == null then "${part 0}T00:00:00Z"
    else if given == null || given == "" then "${part 0}T${part 5}Z"
    else if stringLength offset == 5 then "${part 0}T${part 5}${substring 0 3 offset}:${substring 3 2 offset}"
    else replaceStrings [ " " ] [ "T" ] text;

  make = v: if isInt v then ofSeconds v else ofString v;

  # Seconds since 1970
  secondsOf = text:
    let
      parts = match "${calendar}[Tt ]${clock}${zone}" (ofString text);
      part = n: number (elemAt parts n);
      shift = match "([+-])([0-9]{2}):([0-9]{2})" (elemAt parts 7);
      minutes = number (elemAt shift 1) * 60 + number (elemAt shift 2);
      behind = if shift == null then 0 else if elemAt shift 0 == "+" then minutes else -minutes;
    in
    daysOf (part 0) (part 1) (part 2) * 86400 + part 3 * 3600 + part 4 * 60 + part 5 - behind * 60;

  last = 253402300799; # 9999-12-31T23:59:59Z
  isSeconds = v: isInt v && v >= 0 && v <= last;
  form = "\"1970-01-01T00:00:01Z\", or seconds since 1970 such as self.lastModified";
in
{
  type = { check = v: isSeconds v || isDate v; rule = "a date like ${form}"; inherit make; };

  # What is recorded is the evaluation, so that a derivation still says all of its output.
  orNow = {
    check = v: v == "now" || isSeconds v || isDate v;
    rule = "a date like ${form}, or \"now\"";
    make = v:
      if v != "now" then make v
      else if builtins ? currentTime then ofSeconds builtins.currentTime
      else throw "dockerTools: `created` is \"now\", which pure evaluation does not know: write self.lastModified, or another date.";
  };

  # As seconds, for files
  seconds = {
    check = v: isSeconds v || (isDate v && secondsOf v >= 0);
    rule = "seconds since 1970, or a date from 1970 on; never \"now\", or each evaluation would make all layers anew";
    make = v: if isInt v then v else secondsOf v;
  };
}
