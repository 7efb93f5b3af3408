# Read by nginx's configure while it writes its Makefile: how to renew the
# header that holds the Lua library, and which objects hold the header.

loyalty_lua=`cd "$ngx_addon_dir" && ls src/redis/*.lua src/games/*.lua \
                                      src/draws/*.lua 2>/dev/null \
             | sed "s#^#$ngx_addon_dir/#" | tr '\n' ' '`

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/loyalty_library.h:	$ngx_addon_dir/build-aux/embed.sh $loyalty_lua
	sh $ngx_addon_dir/build-aux/embed.sh $ngx_addon_dir/src $NGX_OBJS

END

for loyalty_file in \
    `grep -l '^#include "loyalty_library.h"' "$ngx_addon_dir"/src/*/*.c`
do
    loyalty_target=`dirname $loyalty_file`
    loyalty_target=addon/`basename $loyalty_target`
    loyalty_target=$loyalty_target/`basename $loyalty_file .c`.o

    cat << END                                                >> $NGX_MAKEFILE

$NGX_OBJS/$loyalty_target:	$NGX_OBJS/loyalty_library.h

END
done
