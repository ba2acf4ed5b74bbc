//! Complete records of delimited values become fields, one record after the other, in room that is kept between them.
//!
//! The one invariant: any bytes are exactly one record, or none is given. (RFC 4180, as read by `csv-core`: quotes may hold
//! delimiters and line ends, a field may lack its closing quote.)

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Cuts records into fields.
#[derive(Debug)]
pub struct Splitter {
    reader: Reader,
    octets: Vec<u8>,
    ends: Vec<usize>,
    record: csv::StringRecord,
}

impl Splitter {
    /// For records with this between their fields.
    #[must_use]
    pub fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, octets: vec![0; 1_024], ends: vec![0; 32], record: csv::StringRecord::new() }
    }

    /// The fields of one record, without its line end, as `decode` has them; `None` where it is not one record.
    pub fn split(&mut self, record: &[u8], decode: impl Fn(&[u8], &mut csv::StringRecord)) -> Option<&csv::StringRecord> {
        self.reader.reset();
        let (fields, rest) = self.next(record)?;
        self.record.clear();
        let mut from = 0;
        for end in self.ends.iter().take(fields) {
            decode(self.octets.get(from..*end)?, &mut self.record);
            from = *end;
        }
        if self.next(rest).is_some() { None } else { Some(&self.record) }
    }

    /// How many fields the next record has, and what stands behind it; `None` at the end. Its fields and their ends are kept.
    fn next<'t>(&mut self, mut rest: &'t [u8]) -> Option<(usize, &'t [u8])> {
        let (mut written, mut fields) = (0, 0);
        loop {
            let (octets, ends) = (self.octets.get_mut(written..)?, self.ends.get_mut(fields..)?);
            let (result, taken, more, ended) = self.reader.read_record(rest, octets, ends);
            rest = rest.get(taken..)?;
            written += more;
            fields += ended;
            match result {
                // Nothing more comes: the next turn says so.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.octets.resize(self.octets.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Some((fields, rest)),
                ReadRecordResult::End => return None,
            }
        }
    }
}

/// UTF-8, with what is none replaced.
pub fn utf8(field: &[u8], record: &mut csv::StringRecord) {
    record.push_field(&String::from_utf8_lossy(field));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the crate `csv` reads it, from the beginning each time.
    fn expected(record: &[u8]) -> Option<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
        let mut bytes = csv::ByteRecord::new();
        let first = reader.read_byte_record(&mut bytes).expect("bytes are read").then(|| bytes.clone())?;
        let one = !reader.read_byte_record(&mut bytes).expect("bytes are read");
        one.then(|| first.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect())
    }

    fn found(splitter: &mut Splitter, record: &[u8]) -> Option<Vec<String>> {
        splitter.split(record, utf8).map(|record| record.iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_record_is_cut_whatever_came_before_it() {
        let mut splitter = Splitter::new(b',');
        let long = [b"a,".repeat(600), vec![b'x'; 5_000]].concat();
        for (record, fields) in [
            (&b"a,\"b,\"\"c\"\"\",d"[..], Some(3)),
            (b"\"never closed,x", Some(1)),
            (&long, Some(601)),
            (b"", None),
            (b"two\rrecords", None),
            (b"\xef\xbb\xbfmarked,M\xfcller", Some(2)),
            (b",", Some(2)),
        ] {
            let cut = found(&mut splitter, record);
            assert_eq!(cut.as_ref().map(Vec::len), fields, "{}", record.escape_ascii());
            assert_eq!(cut, expected(record), "{}", record.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_as_by_csv(records in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..40), 1..4)) {
            let mut splitter = Splitter::new(b',');
            for record in &records {
                prop_assert_eq!(found(&mut splitter, record), expected(record));
            }
        }
    }
}
