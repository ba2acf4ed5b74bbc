//! One record becomes fields: separated, unquoted, decoded. The one invariant: any bytes give fields or a reason.

use super::row::RowError;

/// How characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, perhaps with a byte order mark.
    Utf8,
    /// Windows-1252, and so Latin-1.
    Windows1252,
}

/// The fields of one record, without its line end.
pub(super) fn split(record: &[u8], delimiter: u8, encoding: Encoding) -> Result<csv::StringRecord, RowError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(record);
    let mut bytes = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut bytes).map_err(|_| RowError::NotCsv)? {
        return Err(RowError::NotCsv);
    }
    let record: csv::StringRecord = match encoding {
        Encoding::Utf8 => bytes.iter().map(String::from_utf8_lossy).collect(),
        Encoding::Windows1252 => bytes.iter().map(|field| field.iter().map(|byte| windows_1252(*byte)).collect::<String>()).collect(),
    };
    if reader.read_byte_record(&mut bytes).map_err(|_| RowError::NotCsv)? {
        return Err(RowError::NotCsv);
    }
    Ok(record)
}

/// A character of Windows-1252 (WHATWG Encoding, index windows-1252); Latin-1 but for 0x80 to 0x9f.
fn windows_1252(byte: u8) -> char {
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•',
        '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    byte.checked_sub(0x80).and_then(|place| UPPER.get(usize::from(place)).copied()).unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_as_configured() {
        let fields = |bytes: &[u8], delimiter, encoding| -> Vec<String> {
            split(bytes, delimiter, encoding).expect("a record").iter().map(str::to_owned).collect()
        };
        assert_eq!(fields(b"M\xfcller;\x80 5", b';', Encoding::Windows1252), ["Müller", "€ 5"]);
        assert_eq!(fields("\"Müller, \"\"A\"\"\",2".as_bytes(), b',', Encoding::Utf8), ["Müller, \"A\"", "2"]);
        assert_eq!(fields(b"M\xfcller\t", b'\t', Encoding::Utf8), ["M\u{fffd}ller", ""]);
        assert_eq!(split(b"", b',', Encoding::Utf8), Err(RowError::NotCsv));
    }
}
