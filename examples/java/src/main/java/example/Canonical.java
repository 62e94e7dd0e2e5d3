package example;

import code_analysis.driver.v1.Value;
import com.google.protobuf.ByteString;
import com.google.protobuf.NullValue;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.function.Function;
import java.util.zip.CRC32;

/** The text form of values that all conformance reports share; test/conformance/README.md defines it. */
final class Canonical {
  private static final int LONG_BYTES = 64;
  private static final HexFormat HEX = HexFormat.of();
  private static final HexFormat UPPER_HEX = HEX.withUpperCase();

  private Canonical() {}

  static Value toValue(String text) {
    String[] parts = text.split(":", 2);
    Value.Builder value = Value.newBuilder();
    switch (parts[0]) {
      case "null" -> value.setNullValue(NullValue.NULL_VALUE);
      case "integer" -> value.setIntegerValue(Long.parseLong(parts[1]));
      case "real" -> value.setRealValue(Double.longBitsToDouble(Long.parseUnsignedLong(parts[1], 16)));
      case "text" -> value.setTextValueBytes(repeated(parts[1], Canonical::percentDecode));
      case "blob" -> value.setBlobValue(repeated(parts[1], HEX::parseHex));
      default -> {}
    }
    return value.build();
  }

  /** {@code COUNT*CONTENT} is the content so many times. */
  private static ByteString repeated(String content, Function<String, byte[]> parse) {
    int star = content.indexOf('*');
    int count = star < 0 ? 1 : Integer.parseInt(content.substring(0, star));
    byte[] unit = parse.apply(content.substring(star + 1));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(count * unit.length);
    for (int index = 0; index < count; index++) {
      bytes.writeBytes(unit);
    }
    return ByteString.copyFrom(bytes.toByteArray());
  }

  static String fromValue(Value value) {
    return switch (value.getKindCase()) {
      case NULL_VALUE -> "null";
      case INTEGER_VALUE -> "integer:" + value.getIntegerValue();
      case REAL_VALUE -> "real:" + HEX.toHexDigits(Double.doubleToRawLongBits(value.getRealValue()));
      case TEXT_VALUE -> "text:" + shortened(value.getTextValueBytes().toByteArray(), Canonical::percentEncode);
      case BLOB_VALUE -> "blob:" + shortened(value.getBlobValue().toByteArray(), HEX::formatHex);
      case KIND_NOT_SET -> "unset";
    };
  }

  private static String shortened(byte[] content, Function<byte[], String> form) {
    if (content.length <= LONG_BYTES) {
      return form.apply(content);
    }
    CRC32 checksum = new CRC32();
    checksum.update(content);
    return content.length + ",crc32=" + HEX.toHexDigits((int) checksum.getValue());
  }

  static String percentEncode(String text) {
    return percentEncode(text.getBytes(StandardCharsets.UTF_8));
  }

  /** All bytes but letters, digits and {@code -._~} as {@code %XX}. */
  private static String percentEncode(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (byte octet : bytes) {
      char character = (char) (octet & 0xff);
      if (character < 0x80 && (Character.isLetterOrDigit(character) || "-._~".indexOf(character) >= 0)) {
        text.append(character);
      } else {
        text.append('%').append(UPPER_HEX.toHexDigits(octet));
      }
    }
    return text.toString();
  }

  private static byte[] percentDecode(String text) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int index = 0; index < text.length(); index++) {
      if (text.charAt(index) == '%') {
        bytes.write(HexFormat.fromHexDigits(text, index + 1, index + 3));
        index += 2;
      } else {
        bytes.write(text.charAt(index));
      }
    }
    return bytes.toByteArray();
  }
}
