#!/usr/bin/perl

# The reference and the code say the same: every directive with its contexts,
# every problem, every metric; and the examples are configurations that nginx
# accepts.

use strict;
use warnings;

use Test::More;

use lib 't/lib';
use Loyalty::Test;


sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/;
    return scalar <$fh>;
}


# ---- directives ----

my %place = (
    NGX_HTTP_MAIN_CONF => 'http', NGX_HTTP_SRV_CONF => 'server',
    NGX_HTTP_LOC_CONF => 'location', NGX_HTTP_LIF_CONF => 'if',
    NGX_HTTP_LMT_CONF => 'limit_except',
    NGX_LOYALTY_PROGRAM_CONF => 'loyalty_program',
    NGX_LOYALTY_INSTANT_CONF => 'instant_win',
);

my (%code, %docs);

for my $file (glob 'src/*/*.c') {
    my $text = slurp($file);

    while ($text =~ /^static ngx_command_t .*?^};/msg) {
        my $table = $&;

        while ($table =~ /\{ ngx_string\("(\w+)"\),\s+([A-Z0-9_|\s]+),/g) {
            my ($name, $flags) = ($1, $2);

            for my $flag ($flags =~ /NGX_(?:HTTP|LOYALTY)_\w+_CONF\b/g) {
                my $place = $place{$flag}
                         // lc(($flag =~ /^NGX_LOYALTY_(\w+)_CONF$/)[0]);
                $code{$name}{$place} = 1;
            }
        }
    }
}

my $directives = slurp('docs/directives.md');

while ($directives =~ /^### (\w+)\n(.*?)(?=^##|\z)/msg) {
    my ($name, $text) = ($1, $2);

    my ($syntax) = $text =~ /^\*\*Syntax:\*\* `(.*)`/m;
    like($syntax // '', qr/^$name\b/, "$name has its syntax");
    like($text, qr/^\*\*Default:\*\* (?:—|`$name .*;`)/m,
         "$name has a default or says that it has none");

    my ($contexts) = $text =~ /^\*\*Context:\*\* (.*)$/m;
    $docs{$name}{$_} = 1 for ($contexts // '') =~ /`(\w+)`/g;
}

cmp_ok(scalar keys %code, '>', 20, 'directives were found');
is_deeply(\%docs, \%code, 'the directives of the reference are the code\'s');

for my $name (sort keys %code) {
    next if exists $docs{$name};
    fail("$name is in docs/directives.md");
}


# what can be awarded
my %awards = map { $_ => 1 } slurp('src/program/ngx_http_loyalty_award.c')
           =~ /\{ ngx_string\("(\w+)"\), NGX_HTTP_LOYALTY_AWARD_/g;
my %awarded = map { $_ => 1 }
              $directives =~ /^\*\*Syntax:\*\* `award ([a-z]+) /mg;
is_deeply(\%awarded, \%awards, 'whatever is awarded has its syntax');


# ---- contents and links ----

my %anchors;

for my $file ('README.md', glob('docs/*.md'), glob('lua-examples/*.md')) {
    my $text = slurp($file) =~ s/^```.*?^```//msgr;

    for my $heading ($text =~ /^#+ (.*)/mg) {
        my $anchor = lc($heading =~ s/[^\w -]//gr) =~ tr/ /-/r;
        $anchors{$file}{$anchor} = 1;
    }
}

for my $file (sort keys %anchors) {
    my ($folder) = $file =~ m{^(.*/)?};
    my $text = slurp($file);

    for ($text =~ /\]\(([^)\s]+)\)/g) {
        next if /^https?:/;
        my ($path, $anchor) = split /#/, $_, 2;
        my $to = $path eq '' ? $file : ($folder // '') . $path;
        1 while $to =~ s{(?:^|(?<=/))(?!\.\.)[^/]+/\.\./}{};

        ok(-e $to && (!defined $anchor || $anchors{$to}{$anchor}),
           "$file: $_ is there");
    }
}

# who looks for something looks there first
for my $file ('docs/directives.md', 'docs/api.md') {
    my ($contents, $rest) = split /^(?=## )/m, slurp($file), 2;
    $rest =~ s/^```.*?^```//msg;

    for my $heading ($rest =~ /^##+ (.*)/mg) {
        like($contents, qr/\[\Q$heading\E\]/, "$file lists $heading");
    }
}


# ---- problems ----

my $api = slurp('docs/api.md');

my %problems = slurp('src/http/ngx_http_loyalty_problem.c')
             =~ /\{ ngx_string\("(\w+)"\), (\d{3}),/g;
my %told;

while ($api =~ /^\| (\d{3}) \| `(\w+)` \|/mg) {
    $told{$2} = $1;
}

cmp_ok(scalar keys %problems, '>', 10, 'problems were found');
is_deeply(\%told, \%problems, 'the problems of the reference are the code\'s');


# ---- metrics ----

my $t = Loyalty::Test->new(program => 'wallet points;');

my $page = $t->get('/metrics')->body;
my @metrics = sort $page =~ /^# TYPE (\S+)/mg;
my %metrics = map { $_ => 1 } $api =~ /^\| `(nginx_loyalty_\w+)` \|/mg;

cmp_ok(scalar @metrics, '>', 10, 'metrics were found');
is_deeply([sort keys %metrics], \@metrics,
          'the metrics of the reference are the page\'s');

my %labels = map { $_ => 1 } $page =~ /[{,](\w+)="/g;

for my $label (sort keys %labels) {
    like($api, qr/`$label`/, "the label $label is explained");
}


# ---- examples ----

# what they read
my %files = (
    'draw.secret' => 'main:' . '0b' x 32,
    'hooks.keys' => 'shop-1:' . '0a' x 32,
    'token.secret' => 's' x 32,
    'login.jwks' => '{"keys":[{"kty":"oct","k":"' . 'A' x 43 . '"}]}',
);

for my $file ('README.md', 'docs/directives.md', 'docs/abuse.md') {
    my @examples = slurp($file) =~ /^```nginx\n(.*?)^```/msg;

    cmp_ok(scalar @examples, '>', 0, "$file has examples");

    for my $n (1 .. @examples) {
        my $example = $examples[$n - 1];

        # a part of http {}, of loyalty_program or of server
        my %where = $example =~ /^loyalty_program\b/m ? (http => $example)
                  : $example =~ /^\s*location\b/m
                  ? (program => 'wallet points; tier bronze 0;', server => $example)
                  : (program => "wallet points;\n"
                     . ($example =~ /^(?:sweepstakes|instant_win)\b/m
                        ? "secret_file %%TESTDIR%%/draw.secret;\n" : '')
                     . $example);

        my ($ok, $output) = Loyalty::Test->check(%where, files => \%files);
        ok($ok, "$file, example $n") or diag($output, $example);
    }
}

my $demo = slurp('conf/demo.conf');
$demo =~ s/^load_module .*/load_module %%MODULE%%;/m;

$demo =~ s/OPEN;/2026-11-01T00:00:00Z;/g;
$demo =~ s/(?:SOON|CLOSE);/2027-11-01T00:00:00Z;/g;

my ($ok, $output) = Loyalty::Test->check(conf => $demo,
    files => { 'demo.secret' => 'demo:' . '5a' x 32 . "\n" });
ok($ok, 'conf/demo.conf') or diag($output);


# ---- the access list is enough ----

my ($acl) = $directives =~ /^ACL (SETUSER .*?)^```/ms;

my $limited = Loyalty::Test->new(
    start => 0,
    files => { password => "SECRET\n" },
    program => <<'END',
redis      unix:%%REDIS%% user=shop password_file=%%TESTDIR%%/password db=1;
wallet     points;
earn       purchase points 1 per=1.00;
challenge  two { on purchase;  goal 2;  every day;  award points 5; }
streak     days { on purchase;  every day; }
END
);

is($limited->redis->call('ACL', split ' ', $acl), 'OK', 'access list');

# there is an old library to delete
my ($select, $kept, $library) = $limited->redis->pipeline(
    ['SELECT', 1],
    ['HSET', 'loyalty:libraries', 'aaaaaaaaaaaa', 1],
    ['FUNCTION', 'LOAD', "#!lua name=loyalty_aaaaaaaaaaaa\n"
     . "redis.register_function('old', function() return 1 end)"]);
is("$library", 'loyalty_aaaaaaaaaaaa', 'an old library');

$limited->start;

# so many that records leave the member's string
is_deeply([grep { $_->{status} != 200 }
           $limited->events([map { { id => "e$_", member => 'm',
                                     type => 'purchase', amount => '3.00' } }
                             1 .. 40])->lines],
          [], 'events with no more rights than in the reference');
is($limited->reversal('e1', { id => 'r1', member => 'm' })->status, 200,
   'a reversal of an old event');
is($limited->reversal('e40', { id => 'r2', member => 'm' })->status, 200,
   'a reversal of a new one');
is($limited->me('m')->status, 200, 'the account');
is($limited->history('m')->status, 200, 'the history');
ok($limited->wait_for(sub {
    !$limited->redis->call('HEXISTS', 'loyalty:libraries', 'aaaaaaaaaaaa') }),
   'the old library is forgotten');
is(() = $limited->log =~ /deleted function library loyalty_a/g, 1,
   'and deleted');
is($limited->request('DELETE', '/loyalty-admin/members/m')->status, 200,
   'an erasure');
is_deeply($limited->redis->call('ACL', 'LOG'), [], 'nothing was denied');

# and for what draws, codes and split do
my %may = map { $_ => 1 } $acl =~ /\+([a-z]+)/g,
          ($directives =~ /`split` beside it `(.*?)`/s)[0] =~ /\+([a-z]+)/g;
my %calls = map { lc $_ => 1 } map { slurp($_) =~ /call\('([A-Z]+)'/g }
            glob 'src/*/*.lua';
is_deeply([grep { !$may{$_} } sort keys %calls], [],
          'what functions call is in the access list');


done_testing();
