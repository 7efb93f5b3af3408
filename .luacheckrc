std = "lua51"
read_globals = { "redis", "cjson", "cmsgpack", "bit", "struct" }
max_line_length = false
