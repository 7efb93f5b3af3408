#!/usr/bin/perl

# A variable of the module that has nothing to show is refused by nginx -t with
# the file and the line that use it, wherever that is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $lookup = 'loyalty_lookup shop member=$arg_m;';


# what nginx -t says of the places, and the line of a text in a file
sub check {
    my ($server, %more) = @_;
    my $t = Loyalty::Test->new(start => 0, redis => 0,
                               allow => [qr/\[emerg\]/], server => "\n$server",
                               program => "redis 127.0.0.1:1;\n"
                                          . "wallet points;\n", %more);
    my ($ok, $out) = $t->check;

    ok(!$ok, 'refused');

    return ($t, $out);
}


sub line_of {
    my ($t, $file, $pattern) = @_;
    my @lines = split /\n/, $t->read_file($file);
    my ($line) = grep { $lines[$_ - 1] =~ $pattern } 1 .. @lines;

    return $line // die "nothing like $pattern in $file\n";
}


for (
    ['$loyalty_balance_stars', $lookup],
    ['${loyalty_streak_days}', $lookup],
    ['$loyalty_challenge_cups', $lookup],
    ['$Loyalty_Tier', $lookup],
    ['$loyalty_balance_points', ''],
    ['$loyalty_status', ''],
    ['$loyalty_jwt_sub', ''],
) {
    my ($variable, $server) = @$_;
    my ($t, $out) = check("$server\n# $variable is not used here\n\n"
                          . "location /a {\n  # nor $variable here\n"
                          . "  add_header X-Known\n \"is $variable\";\n}\n");
    my $name = lc $variable =~ s/[\${}]//gr;
    my $line = line_of($t, 'nginx.conf', qr/"is \Q$variable/);

    like($out, qr{variable "$name" is used, and .* in \S+/nginx\.conf:$line$}m,
         "$variable: the line");
}

# in files that are included, a list of them
{
    my ($t, $out) = check("$lookup\nset \$include none;\n"
        . "include %%TESTDIR%%/more*.conf;",
        files => { 'more1.conf' => "# nothing\n",
                   'more2.conf' => "include %%TESTDIR%%/last.conf;\n",
                   'last.conf' => "location /x {\n"
                       . "return 200 \$loyalty_balance_stars;\n}\n" });

    like($out, qr{"loyalty_balance_stars" is used, .* in \S+/last\.conf:2$}m,
         'in a file that is included');
}

# two wallets that a variable cannot tell apart
{
    my ($t, $out) = check("$lookup\nreturn 200 \$loyalty_balance_a_b;",
                          program => "redis 127.0.0.1:1;\n"
                                     . "wallet a-b; wallet a_b;\n");
    my $line = line_of($t, 'nginx.conf', qr/return 200 \$loyalty/);

    like($out, qr{stands for several names .*"shop" in \S+/nginx\.conf:$line$}m,
         'several names');
}

# deeper than anybody looks: the lookup that does not know it
{
    my %files = map {
        ("deep$_.conf" => "include %%TESTDIR%%/deep@{[ $_ + 1 ]}.conf;\n")
    } 1 .. 11;
    my ($t, $out) = check("include %%TESTDIR%%/deep1.conf;\n$lookup",
        files => { %files,
                   'deep12.conf' => "set \$x \$loyalty_balance_stars;\n" });
    my $line = line_of($t, 'nginx.conf', qr/^loyalty_lookup/);

    like($out, qr{"loyalty_balance_stars" .* in \S+/nginx\.conf:$line$}m,
         'else the line of a lookup');
}


done_testing();
