//! The built-ins of the language (`x?name`): their names, and how many arguments they take.

macro_rules! built_ins {
    ($($variant:ident $name:literal $fewest:literal $most:literal,)*) => {
        /// A built-in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum BuiltIn {
            $(#[doc = $name] $variant,)*
        }

        /// All of them, in alphabetical order.
        pub(super) const ALL: &[(BuiltIn, &str, usize, usize)] =
            &[$((BuiltIn::$variant, $name, $fewest, $most),)*];
    };
}

built_ins! {
    Abs "abs" 0 0,
    Boolean "boolean" 0 0,
    Byte "byte" 0 0,
    C "c" 0 0,
    CapFirst "cap_first" 0 0,
    Capitalize "capitalize" 0 0,
    Ceiling "ceiling" 0 0,
    ChopLinebreak "chop_linebreak" 0 0,
    Chunk "chunk" 1 2,
    Contains "contains" 1 1,
    Counter "counter" 0 0,
    Date "date" 0 1,
    DateIfUnknown "date_if_unknown" 0 0,
    DateTime "datetime" 0 1,
    DateTimeIfUnknown "datetime_if_unknown" 0 0,
    Default "default" 1 9,
    Double "double" 0 0,
    DropWhile "drop_while" 1 1,
    EndsWith "ends_with" 1 1,
    EnsureEndsWith "ensure_ends_with" 1 1,
    EnsureStartsWith "ensure_starts_with" 1 3,
    Esc "esc" 0 0,
    EvalJson "eval_json" 0 0,
    Exists "exists" 0 0,
    Filter "filter" 1 1,
    First "first" 0 0,
    Float "float" 0 0,
    Floor "floor" 0 0,
    Groups "groups" 0 0,
    HasContent "has_content" 0 0,
    HasNext "has_next" 0 0,
    Html "html" 0 0,
    IfExists "if_exists" 0 0,
    Index "index" 0 0,
    IndexOf "index_of" 1 2,
    Int "int" 0 0,
    IsBoolean "is_boolean" 0 0,
    IsCollection "is_collection" 0 0,
    IsCollectionEx "is_collection_ex" 0 0,
    IsDate "is_date" 0 0,
    IsDateLike "is_date_like" 0 0,
    IsDateOnly "is_date_only" 0 0,
    IsDateTime "is_datetime" 0 0,
    IsDirective "is_directive" 0 0,
    IsEnumerable "is_enumerable" 0 0,
    IsEvenItem "is_even_item" 0 0,
    IsFirst "is_first" 0 0,
    IsHash "is_hash" 0 0,
    IsHashEx "is_hash_ex" 0 0,
    IsIndexable "is_indexable" 0 0,
    IsInfinite "is_infinite" 0 0,
    IsLast "is_last" 0 0,
    IsMacro "is_macro" 0 0,
    IsMarkupOutput "is_markup_output" 0 0,
    IsMethod "is_method" 0 0,
    IsNan "is_nan" 0 0,
    IsNode "is_node" 0 0,
    IsNumber "is_number" 0 0,
    IsOddItem "is_odd_item" 0 0,
    IsSequence "is_sequence" 0 0,
    IsString "is_string" 0 0,
    IsTime "is_time" 0 0,
    IsTransform "is_transform" 0 0,
    IsUnknownDateLike "is_unknown_date_like" 0 0,
    Iso "iso" 1 1,
    IsoH "iso_h" 1 1,
    IsoHNz "iso_h_nz" 1 1,
    IsoLocal "iso_local" 0 0,
    IsoLocalNz "iso_local_nz" 0 0,
    IsoM "iso_m" 1 1,
    IsoMs "iso_ms" 1 1,
    IsoNz "iso_nz" 1 1,
    IsoUtc "iso_utc" 0 0,
    IsoUtcH "iso_utc_h" 0 0,
    IsoUtcHNz "iso_utc_h_nz" 0 0,
    IsoUtcM "iso_utc_m" 0 0,
    IsoUtcMs "iso_utc_ms" 0 0,
    IsoUtcNz "iso_utc_nz" 0 0,
    ItemCycle "item_cycle" 0 99,
    ItemParity "item_parity" 0 0,
    ItemParityCap "item_parity_cap" 0 0,
    JString "j_string" 0 0,
    Join "join" 1 3,
    JsString "js_string" 0 0,
    JsonString "json_string" 0 0,
    KeepAfter "keep_after" 1 2,
    KeepAfterLast "keep_after_last" 1 2,
    KeepBefore "keep_before" 1 2,
    KeepBeforeLast "keep_before_last" 1 2,
    Keys "keys" 0 0,
    Last "last" 0 0,
    LastIndexOf "last_index_of" 1 2,
    LeftPad "left_pad" 1 2,
    Length "length" 0 0,
    Long "long" 0 0,
    LowerAbc "lower_abc" 0 0,
    LowerCase "lower_case" 0 0,
    Map "map" 1 1,
    MarkupString "markup_string" 0 0,
    Matches "matches" 1 2,
    Max "max" 0 0,
    Min "min" 0 0,
    Namespace "namespace" 0 0,
    NoEsc "no_esc" 0 0,
    Number "number" 0 0,
    NumberToDate "number_to_date" 0 0,
    NumberToDateTime "number_to_datetime" 0 0,
    NumberToTime "number_to_time" 0 0,
    RemoveBeginning "remove_beginning" 1 1,
    RemoveEnding "remove_ending" 1 1,
    Replace "replace" 2 3,
    Reverse "reverse" 0 0,
    RightPad "right_pad" 1 2,
    Round "round" 0 0,
    Rtf "rtf" 0 0,
    SeqContains "seq_contains" 1 1,
    SeqIndexOf "seq_index_of" 1 2,
    SeqLastIndexOf "seq_last_index_of" 1 2,
    Sequence "sequence" 0 0,
    Short "short" 0 0,
    Size "size" 0 0,
    Sort "sort" 0 0,
    SortBy "sort_by" 1 1,
    Split "split" 1 2,
    StartsWith "starts_with" 1 1,
    String "string" 0 2,
    Substring "substring" 1 2,
    Switch "switch" 2 99,
    TakeWhile "take_while" 1 1,
    Then "then" 2 2,
    Time "time" 0 1,
    TimeIfUnknown "time_if_unknown" 0 0,
    Trim "trim" 0 0,
    Truncate "truncate" 1 3,
    TruncateC "truncate_c" 1 3,
    TruncateCM "truncate_c_m" 1 3,
    TruncateM "truncate_m" 1 3,
    TruncateW "truncate_w" 1 3,
    TruncateWM "truncate_w_m" 1 3,
    UncapFirst "uncap_first" 0 0,
    UpperAbc "upper_abc" 0 0,
    UpperCase "upper_case" 0 0,
    Url "url" 0 1,
    UrlPath "url_path" 0 1,
    Values "values" 0 0,
    WordList "word_list" 0 0,
    Xhtml "xhtml" 0 0,
    Xml "xml" 0 0,
}

/// What FreeMarker has and a letter must not: programs in data, Java, XML.
const REFUSED: [&str; 17] = [
    "absolute_template_name",
    "ancestors",
    "api",
    "children",
    "eval",
    "has_api",
    "interpret",
    "new",
    "next_sibling",
    "node_name",
    "node_namespace",
    "node_type",
    "parent",
    "previous_sibling",
    "root",
    "with_args",
    "with_args_last",
];

impl BuiltIn {
    /// The built-in that a template calls `name`, in snake or camel case, with the fewest and the
    /// most arguments.
    pub(super) fn find(name: &str) -> Result<(Self, usize, usize), String> {
        let snake = snake_case(name);
        if let Some(&(found, _, fewest, most)) = ALL.iter().find(|entry| entry.1 == snake) {
            return Ok((found, fewest, most));
        }
        match REFUSED.contains(&snake.as_str()) {
            true => Err(format!("`?{name}` is a feature of FreeMarker that letters can't use")),
            false => Err(format!("`?{name}` is not a built-in")),
        }
    }

    pub(super) fn name(self) -> &'static str {
        ALL.iter().find(|entry| entry.0 == self).map_or("", |entry| entry.1)
    }
}

/// `capFirst` is `cap_first`.
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.replace("NZ", "Nz").replace("dateTime", "datetime").replace("DateTime", "Datetime").chars()
    {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
