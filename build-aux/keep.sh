#!/bin/sh
# Around a run of nginx's configure: files that it writes with the contents
# they had keep their time, so that what depends on them is not built again.
#
#     keep.sh save|restore OBJS

set -eu

for name in ngx_auto_config.h ngx_auto_headers.h; do
    file=$2/$name

    case $1 in
    save)
        if [ -f "$file" ]; then
            cp -p "$file" "$file.kept"
        fi
        ;;
    restore)
        if cmp -s "$file" "$file.kept"; then
            mv "$file.kept" "$file"
        fi
        ;;
    esac
done
