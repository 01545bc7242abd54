#!/bin/sh
# Installs the Gemfile's gems, unless they are there already: into the place that the project's Bundler is set to, else into
# vendor/bundle. setup.sh RUBY
set -eu
ruby=$1
# The Bundler of this Ruby, whether or not it has a command of its own.
bundle() {
  "$ruby" -e '
    begin
      path = Gem.bin_path("bundler", "bundle")
    rescue Gem::GemNotFoundException
      abort "Bundler is not installed (Debian: apt install bundler; or gem install bundler)"
    end
    load path' -- "$@"
}
# Where all is there already, nothing is written either; but a gem in a folder of its own is found through the lock file alone.
folders() {
  "$ruby" -rbundler -e 'exit Bundler.definition.dependencies.any? { |gem| gem.source.is_a?(Bundler::Source::Path) }'
}
if bundle check --dry-run >/dev/null 2>&1 && { [ -f Gemfile.lock ] || ! folders; }; then
  exit 0
fi
if [ -z "${BUNDLE_PATH:-}" ] && ! grep -qs '^BUNDLE_PATH' .bundle/config; then
  bundle config set --local path vendor/bundle
fi
bundle install --quiet
