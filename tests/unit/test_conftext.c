/*
 * Places in the text of a configuration.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "loyalty_conftext.h"


static unsigned find(const char *text, const char *name);
static void expect_include(const char *text, const char *name, unsigned line);


static unsigned
find(const char *text, const char *name)
{
    loyalty_conftext_t  t;

    loyalty_conftext_init(&t, text, strlen(text));

    return loyalty_conftext_variable(&t, name, strlen(name));
}


static void
test_variable(void **state)
{
    assert_int_equal(find("a;\nb $v;\n", "v"), 2);
    assert_int_equal(find("a;\nb x$v/y;\n", "v"), 2);
    assert_int_equal(find("a;\nb x${v}y;\n", "v"), 2);
    assert_int_equal(find("b $V_x;", "v_x"), 1);
    assert_int_equal(find("if ($v = a) { b; }", "v"), 1);
    assert_int_equal(find("b \"a $v\";", "v"), 1);
    assert_int_equal(find("b 'a # $v';", "v"), 1);
    assert_int_equal(find("b 'one\ntwo $v';", "v"), 2);
    assert_int_equal(find("b 'one\ntwo';\nc $v;", "v"), 3);
    assert_int_equal(find("b a\\\n$v;\nc $w;", "w"), 3);
    assert_int_equal(find("b \"it\\\"s\" $v;", "v"), 1);
    assert_int_equal(find("b $v", "v"), 1);
    assert_int_equal(find("b a#$v;", "v"), 1);
}


static void
test_other(void **state)
{
    assert_int_equal(find("", "v"), 0);
    assert_int_equal(find("a v;", "v"), 0);
    assert_int_equal(find("a $vv $v1 $v_ $va;", "v"), 0);
    assert_int_equal(find("a ${v $w;", "v"), 0);
    assert_int_equal(find("a ${vv};", "v"), 0);
    assert_int_equal(find("a; # b $v\n", "v"), 0);
    assert_int_equal(find("# b $v", "v"), 0);
    assert_int_equal(find("a; # b $v\nb $v;", "v"), 2);
    assert_int_equal(find("a $", "v"), 0);
    assert_int_equal(find("a ${", "v"), 0);
    assert_int_equal(find("a \"", "v"), 0);
    assert_int_equal(find("a \\", "v"), 0);
    assert_int_equal(find("a \"\\", "v"), 0);
}


static void
expect_include(const char *text, const char *name, unsigned line)
{
    loyalty_conftext_t  t;
    loyalty_confword_t  word;

    loyalty_conftext_init(&t, text, strlen(text));

    if (name == NULL) {
        assert_int_equal(loyalty_conftext_include(&t, &word), 0);
        return;
    }

    assert_int_equal(loyalty_conftext_include(&t, &word), 1);
    assert_int_equal(word.n, strlen(name));
    assert_memory_equal(word.p, name, word.n);
    assert_int_equal(word.line, line);
}


static void
test_include(void **state)
{
    expect_include("include a.conf;", "a.conf", 1);
    expect_include("b;\nserver { include  \"a b\" ; }", "a b", 2);
    expect_include("b {\n include conf.d/*.conf;}", "conf.d/*.conf", 2);
    expect_include("b include a.conf;", NULL, 0);
    expect_include("# include a.conf;", NULL, 0);
    expect_include("included a.conf;", NULL, 0);
    expect_include("include;\nb a.conf;", NULL, 0);
    expect_include("include", NULL, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_variable),
        cmocka_unit_test(test_other),
        cmocka_unit_test(test_include),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
