module podscope.dev/promql-oracle

go 1.26.0

require github.com/prometheus/prometheus v0.315.0 // indirect
