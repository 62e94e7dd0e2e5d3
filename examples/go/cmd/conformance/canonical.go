package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"net/url"
	"strconv"
	"strings"

	driverv1 "codeanalysis.example/generated/code_analysis/driver/v1"
)

// The text form of values that all conformance reports share; test/conformance/README.md defines it.

const longBytes = 64

func toValue(text string) *driverv1.Value {
	kind, content, _ := strings.Cut(text, ":")
	switch kind {
	case "null":
		return &driverv1.Value{Kind: &driverv1.Value_NullValue{}}
	case "integer":
		integer, err := strconv.ParseInt(content, 10, 64)
		must(err)
		return &driverv1.Value{Kind: &driverv1.Value_IntegerValue{IntegerValue: integer}}
	case "real":
		bits, err := strconv.ParseUint(content, 16, 64)
		must(err)
		return &driverv1.Value{Kind: &driverv1.Value_RealValue{RealValue: math.Float64frombits(bits)}}
	case "text":
		decode := func(unit string) string {
			decoded, err := url.PathUnescape(unit)
			must(err)
			return decoded
		}
		return &driverv1.Value{Kind: &driverv1.Value_TextValue{TextValue: repeated(content, decode)}}
	case "blob":
		decode := func(unit string) string {
			decoded, err := hex.DecodeString(unit)
			must(err)
			return string(decoded)
		}
		return &driverv1.Value{Kind: &driverv1.Value_BlobValue{BlobValue: []byte(repeated(content, decode))}}
	default:
		return &driverv1.Value{}
	}
}

// repeated reads COUNT*CONTENT as the content so many times.
func repeated(content string, decode func(string) string) string {
	count, unit, isRepeated := strings.Cut(content, "*")
	if !isRepeated {
		return decode(content)
	}
	times, err := strconv.Atoi(count)
	must(err)
	return strings.Repeat(decode(unit), times)
}

func fromValue(value *driverv1.Value) string {
	switch kind := value.Kind.(type) {
	case *driverv1.Value_NullValue:
		return "null"
	case *driverv1.Value_IntegerValue:
		return fmt.Sprintf("integer:%d", kind.IntegerValue)
	case *driverv1.Value_RealValue:
		bits := binary.BigEndian.AppendUint64(nil, math.Float64bits(kind.RealValue))
		return "real:" + hex.EncodeToString(bits)
	case *driverv1.Value_TextValue:
		return "text:" + short([]byte(kind.TextValue), func(text []byte) string { return quote(string(text)) })
	case *driverv1.Value_BlobValue:
		return "blob:" + short(kind.BlobValue, hex.EncodeToString)
	default:
		return "unset"
	}
}

func short(content []byte, form func([]byte) string) string {
	if len(content) <= longBytes {
		return form(content)
	}
	return fmt.Sprintf("%d,crc32=%08x", len(content), crc32.ChecksumIEEE(content))
}

// quote percent-encodes all bytes but letters, digits and -._~.
func quote(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
