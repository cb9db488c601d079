package content

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

func zipOf(t *testing.T, names ...string) string {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, name := range names {
		file, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestType(t *testing.T) {
	zipped := zipOf(t, "a.txt")
	tests := map[string]struct{ name, content, want string }{
		"png":                         {"a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"},
		"png under a lying name":      {"a.txt", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"},
		"jpeg":                        {"a", "\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"},
		"gif":                         {"a", "GIF89a\x01\x00\x01\x00", "image/gif"},
		"webp":                        {"a", "RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"},
		"pdf":                         {"a.html", "%PDF-1.7\n", "application/pdf"},
		"gzip":                        {"a.txt", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "application/gzip"},
		"flac":                        {"a", "fLaC\x00\x00\x00\x22", "audio/flac"},
		"mp4":                         {"a", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4"},
		"elf":                         {"a.png", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57), "application/x-elf"},
		"json":                        {"a.txt", `{"a": [1, 2]}`, "application/json"},
		"html":                        {"a.txt", "<!DOCTYPE html><html></html>", "text/html; charset=utf-8"},
		"svg":                         {"a.txt", `<svg xmlns="http://www.w3.org/2000/svg"></svg>`, "image/svg+xml"},
		"xml":                         {"a", `<?xml version="1.0"?><a/>`, "text/xml; charset=utf-8"},
		"text":                        {"a.txt", "just words", "text/plain; charset=utf-8"},
		"text in UTF-16":              {"a.txt", "\xff\xfeh\x00i\x00", "text/plain; charset=utf-16le"},
		"text of no known name":       {"README", "just words", "text/plain; charset=utf-8"},
		"empty":                       {"a", "", "text/plain"},
		"bytes":                       {"a.txt", "\x00\x01\x02\x03", "application/octet-stream"},
		"bytes named as an image":     {"a.png", "\x00\x01\x02\x03", "application/octet-stream"},
		"text broken by name":         {"a.md", "# Title", "text/markdown; charset=utf-8"},
		"text, upper case name":       {"A.CSS", "body { }", "text/css; charset=utf-8"},
		"script by name":              {"a.mjs", "export let a = 1", "text/javascript; charset=utf-8"},
		"yaml by name":                {"a.yaml", "a: 1", "application/yaml; charset=utf-8"},
		"text cannot be named html":   {"a.html", "just words", "text/plain; charset=utf-8"},
		"text cannot be named svg":    {"a.svg", "just words", "text/plain; charset=utf-8"},
		"zip":                         {"a.zip", zipped, "application/zip"},
		"zip broken by name":          {"a.whl", zipped, "application/x-wheel+zip"},
		"zip cannot be named picture": {"a.png", zipped, "application/zip"},
		"docx by content":             {"a.bin", zipOf(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		"docx by name":                {"a.docx", zipped, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			got, err := Type(strings.NewReader(test.content), test.name)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("Type(%q…, %q) = %q, want %q", test.content[:min(8, len(test.content))], test.name, got, test.want)
			}
		})
	}
}

func TestInline(t *testing.T) {
	tests := map[string]bool{
		"image/png": true, "audio/mpeg": true, "video/mp4": true, "application/pdf": true, "application/json": true,
		"text/plain; charset=utf-8": true,
		"image/svg+xml":             false, "text/html; charset=utf-8": false, "application/xhtml+xml": false, "text/xml": false,
		"text/javascript": false, "application/octet-stream": false, "": false, "nonsense": false,
	}
	for mediaType, want := range tests {
		if got := Inline(mediaType); got != want {
			t.Errorf("Inline(%q) = %t, want %t", mediaType, got, want)
		}
	}
}
