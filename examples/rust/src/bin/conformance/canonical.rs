//! The text form of values that all conformance reports share; test/conformance/README.md defines it.

use code_analysis_driver_example::v1::Value;
use code_analysis_driver_example::v1::value::Kind;

const LONG_BYTES: usize = 64;

pub fn to_value(text: &str) -> Value {
    let (kind, content) = text.split_once(':').unwrap_or((text, ""));
    let kind = match kind {
        "null" => Some(Kind::NullValue(0)),
        "integer" => Some(Kind::IntegerValue(content.parse().expect("an integer"))),
        "real" => {
            let bits = u64::from_str_radix(content, 16).expect("the bits of a real");
            Some(Kind::RealValue(f64::from_bits(bits)))
        }
        "text" => {
            let bytes = repeated(content, percent_decode);
            Some(Kind::TextValue(String::from_utf8(bytes).expect("UTF-8")))
        }
        "blob" => Some(Kind::BlobValue(repeated(content, hex_decode))),
        _ => None,
    };
    Value { kind }
}

/// `COUNT*CONTENT` is the content so many times.
fn repeated(content: &str, parse: fn(&str) -> Vec<u8>) -> Vec<u8> {
    match content.split_once('*') {
        Some((count, unit)) => parse(unit).repeat(count.parse().expect("a count")),
        None => parse(content),
    }
}

pub fn from_value(value: &Value) -> String {
    match &value.kind {
        Some(Kind::NullValue(_)) => "null".into(),
        Some(Kind::IntegerValue(integer)) => format!("integer:{integer}"),
        Some(Kind::RealValue(real)) => format!("real:{:016x}", real.to_bits()),
        Some(Kind::TextValue(text)) => format!("text:{}", short(text.as_bytes(), percent_encode)),
        Some(Kind::BlobValue(blob)) => format!("blob:{}", short(blob, hex_encode)),
        None => "unset".into(),
    }
}

fn short(content: &[u8], form: fn(&[u8]) -> String) -> String {
    if content.len() <= LONG_BYTES {
        return form(content);
    }
    format!("{},crc32={:08x}", content.len(), crc32fast::hash(content))
}

/// All bytes but letters, digits and `-._~` as `%XX`.
pub fn percent_encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.extend(hex_decode(code));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

fn hex_encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_decode(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let digits = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(digits, 16).expect("hexadecimal digits")
        })
        .collect()
}
