package main

// The scenario file; test/conformance/README.md defines it.

type scenarioFile struct {
	Cases []scenarioCase
}

type scenarioCase struct {
	Name   string
	Steps  []step
	Expect []string
}

type statement struct {
	SQL        string
	Parameters []string
	Named      map[string]string
}

type where struct {
	Column, Operator, Value string
}

// step is one call with its arguments; which of them a call has follows from its name.
type step struct {
	statement
	Call        string
	TimeoutMs   int    `json:"timeout_ms"`
	MaxRows     uint32 `json:"max_rows"`
	RequestID   string `json:"request_id"`
	CancelAfter int    `json:"cancel_after"`
	Statements  []statement
	As, In      string
	TTLMs       int `json:"ttl_ms"`
	Table       string
	Columns     []string
	Rows        [][]string
	OnConflict  string `json:"on_conflict"`
	Set         map[string]string
	Where       *where
	OrderBy     string `json:"order_by"`
	Limit       *uint64
	Project     string
	ID          *string
	Root, Path  string
	Force       bool
	Query       string
}
